/** A seeded random number generator: mulberry32. */
export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = seed >>> 0;
		for (let i = 0; i < 4; i++) this.next(); // adjacent seeds begin with similar numbers
	}

	/** Returns a number from 0 up to, but not including, 1. */
	readonly next = (): number => {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let mixed = this.#state;
		mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
	};

	/** Returns an integer from 0 to `end - 1`. */
	below(end: number): number {
		return Math.floor(this.next() * end);
	}

	pick<T>(items: readonly T[]): T {
		return items[this.below(items.length)]!;
	}

	chance(probability: number): boolean {
		return this.next() < probability;
	}

	/** Returns one of the names, with probabilities in proportion to the weights. */
	weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
		let rest = this.next() * Object.values<number>(weights).reduce((sum, weight) => sum + weight);
		const names = Object.keys(weights) as K[];
		return names.find((name) => (rest -= weights[name]) < 0) ?? names.at(-1)!;
	}
}
