/** Numbers that look random and are the same for the same seed: mulberry32. */
export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = seed >>> 0;
		for (let i = 0; i < 4; i++) this.next(); // neighbouring seeds begin alike
	}

	/** From 0 up to 1. */
	readonly next = (): number => {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let mixed = this.#state;
		mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
	};

	/** A whole number from 0, below `end`. */
	below(end: number): number {
		return Math.floor(this.next() * end);
	}

	pick<T>(items: readonly T[]): T {
		return items[this.below(items.length)]!;
	}

	chance(probability: number): boolean {
		return this.next() < probability;
	}

	/** One of the names, more often the ones with more weight. */
	weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
		let rest = this.next() * Object.values<number>(weights).reduce((sum, weight) => sum + weight);
		const names = Object.keys(weights) as K[];
		return names.find((name) => (rest -= weights[name]) < 0) ?? names.at(-1)!;
	}
}
