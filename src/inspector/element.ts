/**
 * The custom element: its attribute and its property, when it watches, and where the focus goes.
 *
 * @module
 */

import type { Inspection } from "../inspection/inspection.ts";
import { Model } from "./model.ts";
import { remoteInspection } from "./remote.ts";
import { render } from "./render.ts";
import { styles } from "./styles.ts";
import { view } from "./view.ts";
import { ago } from "./words.ts";

/** The element. */
export interface UpkeepInspector extends HTMLElement {
	/** The address of a `basketHandler`, relative to the page: the attribute of the same name. */
	src: string;
	/** What it shows instead of `src`: what `inspect` of `upkeep/http` or `remoteInspection` returns. */
	source: Inspection | undefined;
}

/** The class of the element. */
export type InspectorConstructor = new () => UpkeepInspector;

/** Creates the class. In a function, because only pages have `HTMLElement`. */
export function createInspectorClass(): InspectorConstructor {
	return class extends HTMLElement implements UpkeepInspector {
		static readonly observedAttributes: readonly string[] = ["src"];
		readonly #root = this.attachShadow({ mode: "open" });
		#source: Inspection | undefined;
		#model: Model | undefined;
		/** Set if something is to be shown. Not a frame of the browser: these can be rare where the page is not seen. */
		#soon: ReturnType<typeof setTimeout> | undefined;
		#clock: ReturnType<typeof setInterval> | undefined;
		#selected: Model["selected"];
		readonly #onVisibility = () => document.hidden ? this.#model?.stop() : this.#model?.start();

		get src(): string {
			return this.getAttribute("src") ?? "";
		}

		set src(src: string) {
			this.setAttribute("src", src);
		}

		get source(): Inspection | undefined {
			return this.#source;
		}

		set source(source: Inspection | undefined) {
			this.#source = source;
			this.#begin();
		}

		attributeChangedCallback(): void {
			this.#begin();
		}

		connectedCallback(): void {
			const sheet = new CSSStyleSheet();
			sheet.replaceSync(styles);
			this.#root.adoptedStyleSheets = [sheet];
			this.#root.addEventListener("keydown", this.#onKey as EventListener);
			document.addEventListener("visibilitychange", this.#onVisibility);
			this.#clock = setInterval(() => this.#tick(), 1_000);
			this.#begin();
		}

		disconnectedCallback(): void {
			document.removeEventListener("visibilitychange", this.#onVisibility);
			clearInterval(this.#clock);
			this.#model?.stop();
			this.#model = undefined;
		}

		/** Watches the source, if there is one; a source that was given goes before an address. */
		#begin(): void {
			this.#model?.stop();
			this.#model = undefined;
			if (!this.isConnected) return;
			const source = this.#source ??
				(this.src === "" ? undefined : remoteInspection(new URL(this.src, document.baseURI)));
			if (source === undefined) return render(this.#root, []);
			const model = this.#model = new Model(source, () => {
				if (model === this.#model) this.#soon ??= setTimeout(() => this.#render());
			});
			this.#onVisibility();
			this.#render();
		}

		#render(): void {
			clearTimeout(this.#soon);
			this.#soon = undefined;
			const model = this.#model;
			if (model === undefined) return;
			const root = this.#root;
			const focused = root.activeElement as HTMLElement | null;
			render(root, view(model));
			const dialog = root.querySelector("dialog")!;
			if (model.question === undefined) dialog.open && dialog.close();
			else if (!dialog.open) dialog.showModal();
			const before = this.#selected;
			this.#selected = model.selected;
			if (model.selected !== before) this.#focusSelected(before?.id);
			else if (focused !== null && root.activeElement !== focused) this.#refocus(focused);
		}

		/** The details get the focus when they open, and the row of the task when they close. */
		#focusSelected(id: string | undefined): void {
			const row = () => [...this.#root.querySelectorAll<HTMLElement>(".row")].find((one) => one.dataset["id"] === id);
			(this.#root.getElementById("detail") ?? row() ?? this.#tab)?.focus();
		}

		/** What had the focus was moved, or is gone. */
		#refocus(focused: HTMLElement): void {
			if (this.#root.querySelector("dialog")!.open || focused.closest("dialog")) return;
			if (focused.isConnected) focused.focus();
			else (this.#root.getElementById("detail") ?? this.#root.querySelector<HTMLElement>(".row") ?? this.#tab)?.focus();
		}

		get #tab(): HTMLElement | null {
			return this.#root.querySelector<HTMLElement>("[aria-selected=true]");
		}

		readonly #onKey = ({ key, target }: KeyboardEvent): void => {
			if (key === "Escape" && !(target as Element).closest("dialog")) this.#model?.close();
		};

		/** Nothing else changes when only time goes by. */
		#tick(): void {
			const now = this.#model?.now;
			if (now === undefined || document.hidden) return;
			for (const element of this.#root.querySelectorAll<HTMLElement>("time[data-at]")) {
				const text = element.firstChild!;
				const words = ago(Number(element.dataset["at"]), now);
				if (text.nodeValue !== words) text.nodeValue = words;
			}
		}
	};
}
