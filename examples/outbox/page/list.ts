/** A list on the page. What stays keeps its place and its focus. */

import { inSeconds } from "../../shared/words.ts";
import type { MessageStatus } from "../service.ts";

/** What can be done about a message: the words on a button, and what that does. */
export type Actions = Readonly<Record<string, (id: string) => Promise<unknown>>>;

const words: Record<MessageStatus["state"], string> = {
	...{ waiting: "waiting", running: "being delivered", held: "held", dead: "dead", done: "delivered" },
};

export class List {
	readonly #section: HTMLElement;
	readonly #actions: Actions;
	readonly #items = new Map<string, HTMLLIElement>();

	constructor(id: string, actions: Actions = {}) {
		this.#section = document.getElementById(id)!;
		this.#actions = actions;
	}

	/** @param count how many there are, if not all of them are shown; `undefined` if nobody knows */
	show(messages: readonly MessageStatus[], count: number | undefined = messages.length, isStale = false): void {
		setText(this.#section.querySelector("h2 span")!, count === undefined ? "" : String(count));
		this.#section.classList.toggle("stale", isStale);
		const ids = new Set(messages.map(({ id }) => id));
		for (const [id, item] of this.#items) if (!ids.has(id)) this.#remove(id, item);
		const list = this.#section.querySelector("ul")!;
		messages.forEach((message, index) => {
			const item = this.#itemOf(message.id);
			if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
			update(item, message);
		});
	}

	#remove(id: string, item: HTMLElement): void {
		item.remove();
		this.#items.delete(id);
	}

	#itemOf(id: string): HTMLLIElement {
		let item = this.#items.get(id);
		if (item !== undefined) return item;
		item = document.createElement("li");
		item.dataset["id"] = id;
		const buttons = document.createElement("div");
		for (const [words, action] of Object.entries(this.#actions)) {
			const button = document.createElement("button");
			button.type = "button";
			button.textContent = words;
			button.addEventListener("click", () => action(id).catch(() => {})); // that it failed is seen in the list
			buttons.append(button);
		}
		item.append(...["b", "span", "small"].map((name) => document.createElement(name)), buttons);
		this.#items.set(id, item);
		return item;
	}
}

function update(item: HTMLElement, { state, text, attempts, dueIn, error }: MessageStatus): void {
	const [badge, what, details] = item.children as unknown as [HTMLElement, HTMLElement, HTMLElement];
	badge.dataset["state"] = state;
	setText(badge, words[state]);
	setText(what, text);
	what.title = text;
	const next = state === "waiting" && dueIn ? `, next try in ${inSeconds(Math.ceil(dueIn / 1000) * 1000)}` : "";
	setText(details, attempts === 0 || state === "done" ? "" : `attempt ${attempts}: ${error ?? "no answer"}${next}`);
}

/** Leaves alone what is the same, so that a selection stays, and a screen reader does not read it again. */
function setText(element: Element, text: string): void {
	if (element.textContent !== text) element.textContent = text;
}
