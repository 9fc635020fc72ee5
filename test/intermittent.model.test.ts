import fc from "./property.ts";
import { describe, expect, test } from "vitest";
import { Intermittent, sleep } from "../mod.ts";
import { VirtualClock } from "../src/testing.ts";
import { SpiedController } from "./support.ts";

/** How one start behaves, and the stop that belongs to it. */
interface Script {
	readonly startTime: number;
	readonly start: "value" | "throw" | "reject";
	/** Whether the start fails as soon as its signal aborts. */
	readonly isPolite: boolean;
	readonly stopTime: number;
	readonly stop: "return" | "throw" | "reject" | "none";
}

interface Simple {
	readonly kind: "attach" | "abort";
	readonly signal: number;
}

type Command =
	| Simple
	| { readonly kind: "advance"; readonly duration: number }
	/** A subscriber does it when it hears of the next change. */
	| { readonly kind: "re-enter"; readonly command: Simple };

interface Listener {
	readonly signal: number;
	/** What it has been told: that it runs, that the start which it caused failed, or its signal's reason. */
	outcome?: string;
}

const script: fc.Arbitrary<Script> = fc.record({
	startTime: fc.constantFrom(0, 0, 3, 10),
	start: fc.constantFrom("value", "value", "value", "throw", "reject"),
	isPolite: fc.boolean(),
	stopTime: fc.constantFrom(0, 0, 3, 10),
	stop: fc.constantFrom("return", "return", "throw", "reject", "none"),
});

const simple: fc.Arbitrary<Simple> = fc.record({
	kind: fc.constantFrom("attach" as const, "attach" as const, "abort" as const),
	signal: fc.nat(4),
});
const command: fc.Arbitrary<Command> = fc.oneof<fc.WeightedArbitrary<Command>[]>(
	{ weight: 3, arbitrary: simple },
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant("advance" as const), duration: fc.nat(6) }) },
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant("re-enter" as const), command: simple }) },
);

/** An operation that keeps books, and fails the test when a law of `start` and `stop` is broken. */
class Books {
	readonly clock = new VirtualClock();
	readonly errors: unknown[] = [];
	starts = 0;
	failures = 0;
	stops = 0;
	isOn = false;
	readonly #scripts: readonly Script[];

	constructor(scripts: readonly Script[]) {
		this.#scripts = scripts;
	}

	readonly start = (signal: AbortSignal): unknown => {
		expect(this.isOn).toBe(false);
		expect(signal.aborted).toBe(false);
		this.isOn = true;
		const script = this.#scripts[this.starts++ % this.#scripts.length]!;
		if (script.start === "throw") this.#fail();
		return script.startTime === 0 && script.start === "value"
			? this.#operation(script, signal)
			: this.#slowStart(script, signal);
	};

	async #slowStart(script: Script, signal: AbortSignal): Promise<unknown> {
		await sleep(script.startTime, { clock: this.clock, signal: script.isPolite ? signal : undefined }).catch(() =>
			this.#fail()
		);
		if (script.start === "reject") this.#fail();
		return this.#operation(script, signal);
	}

	#fail(): never {
		this.isOn = false;
		this.failures++;
		throw `failure ${this.starts}`;
	}

	#operation(script: Script, signal: AbortSignal): unknown {
		const value = this.starts;
		if (script.stop === "none") {
			signal.addEventListener("abort", () => this.#off());
			return signal.aborted ? this.#off() : { value };
		}
		let isStopped = false;
		const stop = () => {
			expect(isStopped).toBe(false);
			isStopped = true;
			expect(signal.aborted).toBe(true);
			if (script.stop === "throw") {
				this.#off();
				throw "stop";
			}
			return script.stopTime === 0 && script.stop === "return" ? this.#off() : this.#slowStop(script);
		};
		return { value, stop };
	}

	async #slowStop(script: Script): Promise<void> {
		await sleep(script.stopTime, { clock: this.clock });
		this.#off();
		if (script.stop === "reject") throw "stop";
	}

	#off(): undefined {
		this.isOn = false;
		this.stops++;
	}
}

async function check(scripts: readonly Script[], linger: number, commands: readonly Command[]): Promise<void> {
	const books = new Books(scripts);
	const { clock } = books;
	const shared = new Intermittent(books.start as () => { value: number }, {
		linger,
		clock,
		onError: (error) => void books.errors.push(error),
	});
	const controllers = Array.from({ length: 5 }, () => new SpiedController());
	let listeners: Listener[] = [];
	const settled: Listener[] = [];
	let caused = 0;

	const attach = (signal: number) => {
		const isAborted = controllers[signal]!.signal.aborted;
		const before = shared.listeners;
		const listener: Listener = { signal };
		if (!isAborted) listeners.push(listener);
		shared.attach(controllers[signal]!.signal).then(
			(value) => listener.outcome = `value ${value}`,
			(error) => {
				listener.outcome = String(error);
				if (!listener.outcome.startsWith("failure")) return;
				caused++;
				listeners = listeners.filter((other) => other !== listener);
			},
		);
		settled.push(listener);
		if (isAborted) expect(shared.listeners).toBe(before);
	};
	const abort = (signal: number) => {
		listeners = listeners.filter((listener) => listener.signal !== signal);
		controllers[signal]!.abort(`abort ${signal}`);
		controllers[signal] = new SpiedController();
	};

	const perform = ({ kind, signal }: Simple) => kind === "attach" ? attach(signal) : abort(signal);
	let inner: Simple[] = [];
	shared.subscribe(() => {
		const next = inner.shift();
		if (next !== undefined) perform(next);
	});

	for (const command of commands) {
		if (command.kind === "advance") await clock.advance(command.duration);
		else if (command.kind === "re-enter") inner.push(command.command);
		else perform(command);
		if (command.kind === "abort" && listeners.length === 0) {
			expect(["running", "starting"]).not.toContain(linger === 0 ? shared.state : "");
		}
		const waiting = listeners.filter(({ outcome }) => outcome === undefined);
		if (shared.state === "idle") expect([waiting.length, books.isOn]).toEqual([0, false]);
		if (command.kind === "advance") {
			expect(shared.listeners).toBe(listeners.length);
			if (shared.state === "running") expect([waiting.length, books.isOn]).toEqual([0, true]);
		}
	}
	inner = [];
	await clock.runUntilIdle();
	// What a subscriber's expectations threw has come here.
	expect(books.errors.filter((error) => error instanceof Error)).toEqual([]);
	// At rest: it runs if and only if somebody listens, and everybody has been told.
	expect(shared.state).toBe(listeners.length > 0 ? "running" : "idle");
	for (const { outcome } of settled) expect(outcome).toBeDefined();
	for (let signal = 0; signal < 5; signal++) {
		const used = controllers[signal]!;
		abort(signal);
		expect(used.listeners).toBe(0);
	}
	await clock.runUntilIdle();
	expect([shared.state, shared.listeners, clock.pending, books.isOn]).toEqual(["idle", 0, 0, false]);
	// Each start has failed or was stopped once, and each failure was told to at most one listener.
	expect(books.starts).toBe(books.failures + books.stops);
	expect(caused).toBeLessThanOrEqual(books.failures);
}

describe("Intermittent", () => {
	test("keeps its laws under any interleaving of attach, abort and time, whatever the operation does", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(script, { minLength: 1, maxLength: 5 }),
				fc.constantFrom(0, 0, 4),
				fc.array(command, { maxLength: 30 }),
				check,
			),
			{ numRuns: 500 },
		);
	});
});
