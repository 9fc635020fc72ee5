/** The rate of an event over the last seconds. */

const seconds = 10;

export class Rate {
	/** A ring with one place per second: the second, and its number of events. */
	readonly #counts = Array.from({ length: seconds }, () => ({ second: 0, count: 0 }));

	add(): void {
		const second = now();
		const place = this.#counts[second % seconds]!;
		if (place.second !== second) Object.assign(place, { second, count: 0 });
		place.count++;
	}

	get perSecond(): number {
		const since = now() - seconds;
		return this.#counts.reduce((sum, { second, count }) => second > since ? sum + count : sum, 0) / seconds;
	}
}

function now(): number {
	return Math.floor(performance.now() / 1000);
}
