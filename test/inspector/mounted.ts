// An inspector in a page, as its user meets it.
import { expect, onTestFinished, vi } from "vitest";
import { defineInspector, type Inspection, type UpkeepInspector } from "../../src/inspector/inspector.ts";

/** Whether there are pages here: in browsers and in happy-dom. */
export const hasPages: boolean = typeof document !== "undefined" && typeof customElements !== "undefined";

export class Mounted {
	readonly element: UpkeepInspector;

	constructor(source: Inspection, element: UpkeepInspector = create()) {
		this.element = element;
		element.source = source;
	}

	get root(): ShadowRoot {
		return this.element.shadowRoot!;
	}

	all(selector: string): HTMLElement[] {
		return [...this.root.querySelectorAll<HTMLElement>(selector)];
	}

	/** All text, with single spaces. */
	get text(): string {
		return this.root.textContent!.replace(/\s+/g, " ");
	}

	/** The ids of the shown rows of the list. */
	get rows(): (string | undefined)[] {
		return this.all(".list .row").map((row) => row.dataset["id"]);
	}

	row(id: string): HTMLElement {
		return this.all(".list .row").find((row) => row.dataset["id"] === id)!;
	}

	/** The button with this text or label. */
	button(words: string): HTMLButtonElement {
		const found = this.all("button").find((one) =>
			one.textContent === words || one.getAttribute("aria-label") === words
		);
		if (found === undefined) throw new Error(`There is no button ${words} in: ${this.text}`);
		return found as HTMLButtonElement;
	}

	get buttons(): string[] {
		return this.all("menu button").map((button) => button.textContent!);
	}

	get focused(): HTMLElement | null {
		return this.root.activeElement as HTMLElement | null;
	}

	get told(): string {
		return this.root.querySelector(".told")!.textContent!;
	}

	/** Types a text into a field and leaves it. */
	fill(label: string, text: string): void {
		const field = this.all("input, select").find((one) =>
			[one.getAttribute("aria-label"), one.getAttribute("name")].includes(label)
		);
		(field as HTMLInputElement).value = text;
		field!.dispatchEvent(new Event("change", { bubbles: true }));
	}

	press(key: string): void {
		this.focused!.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true }));
	}

	/** Resolves when `check` passes. */
	async until(check: () => void): Promise<void> {
		await vi.waitFor(check, { interval: 10, timeout: 20_000 });
	}

	async showsRows(...ids: string[]): Promise<void> {
		await this.until(() => expect(this.rows).toEqual(ids));
	}

	/** Opens a task by its row. */
	async open(id: string): Promise<void> {
		await this.until(() => expect(this.rows).toContain(id));
		this.row(id).focus();
		this.row(id).click();
		await this.until(() => expect(this.root.getElementById("detail")?.textContent).toBe(id));
		await this.until(() => expect(this.all("menu, .detail dl").length).toBeGreaterThan(0));
	}
}

/** An element in this page, until the end of the test. */
function create(): UpkeepInspector {
	defineInspector();
	const element = document.createElement("upkeep-inspector") as UpkeepInspector;
	document.body.append(element);
	onTestFinished(() => element.remove());
	return element;
}
