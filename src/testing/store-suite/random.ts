/**
 * Random numbers that a seed determines.
 *
 * @module
 */

/** Marsaglia's xorshift with 32 bits: the same numbers everywhere for the same seed. */
export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = (seed | 0) || 1;
		for (let round = 0; round < 10; round++) this.below(2);
	}

	/** A whole number from 0 to below `end`. */
	below(end: number): number {
		this.#state ^= this.#state << 13;
		this.#state ^= this.#state >>> 17;
		this.#state ^= this.#state << 5;
		return Math.floor((this.#state >>> 0) / 4_294_967_296 * end);
	}

	of<T>(items: readonly T[]): T {
		return items[this.below(items.length)]!;
	}

	/** None, some or all of them, in any order. */
	some<T>(items: readonly T[]): T[] {
		const left = [...items];
		return Array.from({ length: this.below(items.length + 1) }, () => left.splice(this.below(left.length), 1)[0]!);
	}
}
