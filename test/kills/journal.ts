// What the processes of a storm write down, in a file that they share.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import process from "node:process";

/** Writes lines. The file has them in the order in which they were written, and they survive their process. */
export class Journal<Line extends object> {
	readonly #file: string;

	constructor(file: string) {
		this.#file = file;
	}

	/** Writes a line atomically. */
	write(line: Line): void {
		appendFileSync(this.#file, `${JSON.stringify({ pid: process.pid, ...line })}\n`);
	}

	/** Returns the complete lines. */
	read(): (Line & { readonly pid: number })[] {
		if (!existsSync(this.#file)) return [];
		return readFileSync(this.#file, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line));
	}
}
