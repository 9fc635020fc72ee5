/** How often something has happened of late. */

const seconds = 10;

export class Rate {
	/** For each of the last seconds how often, at its place modulo the number of places, and which second that was. */
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
