/**
 * Draws lines in place on the alternate screen of the terminal.
 *
 * @module
 */

import { writeSync } from "node:fs";
import process from "node:process";

/** Returns at most `rows` lines of at most `columns` columns. */
export type Render = (columns: number, rows: number) => readonly string[];

const enter = "\x1b[?1049h\x1b[?25l";
const leave = "\x1b[?25h\x1b[?1049l";

export class Screen {
	#render: Render | undefined;
	#drawn = "";
	/** Whether the process is suspended: between Ctrl-Z and `fg`. */
	#isStopped = false;
	#timer: ReturnType<typeof setInterval> | undefined;

	/** Replaces the lines on the screen. They are drawn again every second and when the size changes. */
	draw(render: Render): void {
		const isOpen = this.#render !== undefined;
		this.#render = render;
		if (!isOpen) this.#open();
		this.#redraw();
	}

	/** Returns to the normal screen and prints the last lines there. Does nothing if nothing was drawn. */
	close(): void {
		const render = this.#render;
		if (render === undefined) return;
		this.#render = undefined;
		clearInterval(this.#timer);
		process.off("exit", this.#leave);
		process.stdout.off("resize", this.#redraw);
		const { columns, rows } = size();
		this.#leave();
		writeSync(1, `${render(columns, rows).join("\n")}\n`);
	}

	#open(): void {
		this.#enter();
		process.on("exit", this.#leave); // also after a crash
		process.stdout.on("resize", this.#redraw);
		this.#timer = setInterval(this.#redraw, 1_000);
		if (process.platform === "win32") return;
		process.on("SIGTSTP", () => {
			this.#isStopped = true;
			this.#leave();
			process.kill(process.pid, "SIGSTOP");
		});
		process.on("SIGCONT", () => {
			if (this.#render === undefined) return;
			this.#isStopped = false;
			this.#enter();
			this.#redraw();
		});
	}

	#enter(): void {
		this.#drawn = "";
		writeSync(1, enter);
	}

	readonly #leave = (): void => {
		writeSync(1, leave); // synchronously, because the process may be about to end or to stop
	};

	readonly #redraw = (): void => {
		if (this.#render === undefined || this.#isStopped) return;
		const { columns, rows } = size();
		const frame = `\x1b[H${this.#render(columns, rows).map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J`;
		if (frame === this.#drawn) return;
		this.#drawn = frame;
		process.stdout.write(frame);
	};
}

/** The last column stays free, because some terminals would wrap the line. */
function size(): { columns: number; rows: number } {
	const { columns, rows } = process.stdout;
	return { columns: (columns || 80) - 1, rows: rows || 24 };
}
