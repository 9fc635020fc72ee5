/** Selects actions by a list of numbers. When the list ends, nothing happens. */
export class Script {
	readonly #numbers: number[];

	constructor(numbers: readonly number[]) {
		this.#numbers = [...numbers];
	}

	get isOver(): boolean {
		return this.#numbers.length === 0;
	}

	below(count: number): number {
		return (this.#numbers.shift() ?? 0) % count;
	}
}
