/** Draws lines in place, on the alternate screen of the terminal. */

import { writeSync } from "node:fs";
import process from "node:process";
import { poll, sleep } from "../../mod.ts";

const enter = "\x1b[?1049h\x1b[?25l";
const leave = "\x1b[?25h\x1b[?1049l";

/** Returns at most `rows` lines of at most `columns` columns. The last lines stay on the normal screen, and have no limit. */
export type Render = (columns: number, rows: number, isLast: boolean) => string[];

export class LiveScreen {
	readonly #render: Render;
	readonly #closed = new AbortController();
	#isOpen = false;
	#isDue = false;
	#drawn = "";

	constructor(render: Render) {
		this.#render = render;
	}

	/** Aborts when the screen is closed. */
	get closed(): AbortSignal {
		return this.#closed.signal;
	}

	/** Returns `false` if it is already open. */
	open(): boolean {
		if (this.#isOpen) return false;
		this.#isOpen = true;
		process.on("exit", this.#leave); // also after a crash
		writeSync(1, enter);
		poll(this.changed, { interval: 1000 }).attach(this.closed); // for countdowns and changes of the size
		return true;
	}

	close(): void {
		this.#closed.abort();
		if (!this.#isOpen) return;
		this.#isOpen = false;
		process.off("exit", this.#leave);
		this.#leave();
	}

	/** Draws soon, once for all changes until then. */
	readonly changed = (): void => {
		if (this.#isDue) return;
		this.#isDue = true;
		sleep(100, { signal: this.closed }).then(() => {
			this.#isDue = false;
			this.#draw();
		}, () => {});
	};

	#draw(): void {
		const { columns = 80, rows = 24 } = process.stdout;
		const lines = this.#render(columns - 1, rows, false);
		const frame = `\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J`;
		if (frame === this.#drawn) return;
		this.#drawn = frame;
		process.stdout.write(frame);
	}

	readonly #leave = (): void => {
		// Synchronously, because the process may be about to exit.
		const lines = this.#render((process.stdout.columns ?? 80) - 1, Infinity, true);
		writeSync(1, `${leave}${lines.join("\n")}\n`);
	};
}
