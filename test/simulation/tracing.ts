// What a simulation tells: its events, their hash, and the first failure.
import type { VirtualClock } from "../../src/testing/testing.ts";

export abstract class Tracing {
	readonly clock: VirtualClock;
	/** The first failure. */
	failure: string | undefined;
	/** The hash of the trace. */
	hash = 0x811c9dc5;
	readonly #onTrace: ((line: string) => void) | undefined;

	constructor(clock: VirtualClock, onTrace: ((line: string) => void) | undefined) {
		this.clock = clock;
		this.#onTrace = onTrace;
	}

	readonly fail = (text: string): void => {
		this.trace(`WRONG: ${text}`);
		this.failure ??= text;
	};

	readonly trace = (text: string): void => {
		const line = `${this.clock.monotonic()} ${text}`;
		for (let i = 0; i < line.length; i++) this.hash = Math.imul(this.hash ^ line.charCodeAt(i), 0x01000193);
		this.#onTrace?.(line);
	};
}
