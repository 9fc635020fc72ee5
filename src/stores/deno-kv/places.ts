/**
 * The order of tasks: Deno KV has no sequence of its own.
 *
 * @module
 */

/** How many digits the number has, to the base 36, and what comes behind it to tell stores apart. */
const digits = 11;
const markLength = 12;

/**
 * Makes texts that sort in the order in which they were made, and never come twice: microseconds by the wall clock, but
 * always above the last, and the mark of this store.
 */
export class Places {
	readonly #now: () => number;
	readonly #mark: string = crypto.randomUUID().replaceAll("-", "").slice(0, markLength);
	#last = 0;

	constructor(now: () => number) {
		this.#now = now;
	}

	/** A place behind all before, and behind `after`, which another store may have made under another clock. */
	readonly next = (after = ""): string => {
		const floor = Number.parseInt(after.slice(0, digits), 36) || 0;
		// A clock may say anything: numbers up to 2 ** 53 can be counted up.
		const now = Math.min(Math.floor(this.#now() * 1000), 2 ** 52);
		this.#last = Math.max(this.#last + 1, floor + 1, now);
		return this.#last.toString(36).padStart(digits, "0") + this.#mark;
	};
}

/** Whether a text is one of those, and not something that a person has written. */
export function isPlace(text: string): boolean {
	return new RegExp(`^[0-9a-z]{${digits}}[0-9a-f]{${markLength}}$`).test(text);
}

/** The place that a text begins with. */
export function placeOf(text: string): string {
	return text.slice(0, digits + markLength);
}
