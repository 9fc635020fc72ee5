// The laws of limits, for the ledger: which gates may be open, and which must be.
import type { KindLimit } from "../../src/store.ts";
import { ModelGate, type ModelStart } from "../../src/testing/store-suite/limit-model.ts";

/** A start, and the limit under which it was. */
interface CountedStart {
	readonly start: ModelStart;
	readonly spacing: number;
	readonly burst: number;
}

/** The starts of one kind and key. */
class GateBook {
	readonly gate: ModelGate = new ModelGate();
	/** Those that were not taken back, since the limit or the clock was last set. */
	starts: CountedStart[] = [];
}

/** The starts of all kinds and keys. */
export class LimitBook {
	readonly #gates = new Map<string, GateBook>();

	/** Counts a start. Returns what is wrong with it. */
	start(name: string, now: number, { spacing, burst }: KindLimit): { start?: ModelStart; fault?: string | undefined } {
		const book = this.#bookOf(name);
		const start = book.gate.start(now, spacing);
		if (start === undefined) return {};
		const last = book.starts.at(-1);
		const isSame = last?.spacing === spacing && last.burst === burst && last.start.at <= now;
		book.starts = [...(isSame ? book.starts : []), { start, spacing, burst }];
		return { start, fault: faultOf(name, book.starts) };
	}

	takeBack(name: string, start: ModelStart): void {
		const book = this.#bookOf(name);
		book.gate.takeBack(start);
		book.starts = book.starts.filter((one) => one.start !== start);
	}

	shut(name: string, until: number): void {
		this.#bookOf(name).gate.shut(until);
	}

	/** A store may forget what does not matter at this time. */
	forget(now: number): void {
		for (const book of this.#gates.values()) if (book.gate.forget(now)) book.starts = [];
	}

	/** The first instant at which a gate may be open, and the one from which it must. */
	opensAt(name: string, limit: KindLimit): readonly [number, number] {
		return this.#bookOf(name).gate.opensAt(limit);
	}

	#bookOf(name: string): GateBook {
		const book = this.#gates.get(name) ?? new GateBook();
		this.#gates.set(name, book);
		return book;
	}
}

/** In any time of `spacing` × `count`, at most `count` + `burst` - 1 tasks start. */
function faultOf(name: string, starts: readonly CountedStart[]): string | undefined {
	const { start: { at }, spacing, burst } = starts.at(-1)!;
	const first = starts.findIndex(({ start }, index) =>
		(starts.length - index - burst) * spacing > at - start.at + 0.01
	);
	if (first < 0) return undefined;
	return `${starts.length - first} tasks of ${name} have started in ${at - starts[first]!.start.at} ms`;
}
