/** The view in a terminal. */

import { LiveScreen } from "../shared/live-screen.ts";
import { renderTable } from "./table.ts";
import type { Kind, View, Watched } from "./view.ts";

export class Screen implements View {
	readonly #watched: Watched;
	readonly #screen: LiveScreen;
	readonly #footer = { file: "", rejected: "" };

	constructor(watched: Watched) {
		this.#watched = watched;
		this.#screen = new LiveScreen((columns, rows, isLast) =>
			renderTable(watched, isLast ? undefined : this.#footer, columns, rows)
		);
	}

	note(kind: Kind, text: string): void {
		if (kind === "file" || kind === "rejected") this.#footer[kind] = text;
		if (kind === "config") this.#footer.rejected = "";
		if (this.#screen.open()) {
			const unsubscribe = this.#watched.group.subscribe(this.#screen.changed);
			this.#screen.closed.addEventListener("abort", unsubscribe);
		}
		this.#screen.changed();
	}

	close(): void {
		this.#screen.close();
	}
}
