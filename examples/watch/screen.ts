/** The view in a terminal: draws the table in place, on the terminal's second screen, which leaves the first one intact. */

import { writeSync } from "node:fs";
import process from "node:process";
import { poll, sleep } from "../../mod.ts";
import { renderTable } from "./table.ts";
import type { Kind, View, Watched } from "./view.ts";

const enter = "\x1b[?1049h\x1b[?25l";
const leave = "\x1b[?25h\x1b[?1049l";

export class Screen implements View {
	readonly #watched: Watched;
	readonly #closed = new AbortController();
	readonly #footer = { file: "", rejected: "" };
	#isOpen = false;
	#isDue = false;
	#drawn = "";

	constructor(watched: Watched) {
		this.#watched = watched;
	}

	note(kind: Kind, text: string): void {
		if (kind === "file" || kind === "rejected") this.#footer[kind] = text;
		if (kind === "config") this.#footer.rejected = "";
		this.#open();
		this.#changed();
	}

	close(): void {
		this.#closed.abort();
		if (!this.#isOpen) return;
		process.off("exit", this.#leave);
		this.#leave();
	}

	#open(): void {
		if (this.#isOpen) return;
		this.#isOpen = true;
		const { signal } = this.#closed;
		process.on("exit", this.#leave); // also after a crash
		writeSync(1, enter);
		const unsubscribe = this.#watched.group.subscribe(this.#changed);
		signal.addEventListener("abort", unsubscribe);
		poll(this.#changed, { interval: 1000 }).attach(signal); // for the countdowns, and for a new size
	}

	/** Draws soon, and only once for all the changes until then. */
	readonly #changed = (): void => {
		if (this.#isDue) return;
		this.#isDue = true;
		sleep(100, { signal: this.#closed.signal }).then(() => {
			this.#isDue = false;
			this.#draw();
		}, () => {});
	};

	#draw(): void {
		const { columns = 80, rows = 24 } = process.stdout;
		const lines = renderTable(this.#watched, this.#footer, columns - 1, rows);
		const frame = `\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J`;
		if (frame === this.#drawn) return;
		this.#drawn = frame;
		process.stdout.write(frame);
	}

	readonly #leave = (): void => {
		// At once: the process may be about to exit.
		const lines = renderTable(this.#watched, undefined, (process.stdout.columns ?? 80) - 1, Infinity);
		writeSync(1, `${leave}${lines.join("\n")}\n`);
	};
}
