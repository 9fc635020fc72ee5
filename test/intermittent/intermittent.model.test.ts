import fc from "../property.ts";
import { describe, expect, test } from "vitest";
import { Intermittent, sleep } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { SpiedController } from "../support.ts";

/** The behavior of one start and of its stop. */
interface Script {
	readonly startTime: number;
	readonly start: "value" | "throw" | "reject";
	/** Whether the start fails as soon as its signal aborts. */
	readonly isPolite: boolean;
	readonly stopTime: number;
	readonly stop: "return" | "throw" | "reject" | "none";
}

interface Simple {
	readonly kind: "attach" | "abort" | "stop";
	readonly signal: number;
}

type Command =
	| Simple
	| { readonly kind: "advance"; readonly duration: number }
	/** The next callback runs the command. */
	| { readonly kind: "re-enter"; readonly command: Simple };

interface Listener {
	readonly signal: number;
	/** The result of the listener: that the operation runs, that its start failed, or the reason of its signal. */
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
	kind: fc.constantFrom("attach", "attach", "attach", "abort", "abort", "stop" as const),
	signal: fc.nat(4),
});
const command: fc.Arbitrary<Command> = fc.oneof<fc.WeightedArbitrary<Command>[]>(
	{ weight: 3, arbitrary: simple },
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant("advance" as const), duration: fc.nat(6) }) },
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant("re-enter" as const), command: simple }) },
);

/** An operation that keeps records, and fails the test if a law of `start` and `stop` is broken. */
class Books {
	readonly clock = new VirtualClock();
	readonly errors: unknown[] = [];
	starts = 0;
	failures = 0;
	stops = 0;
	isOn = false;
	/** Each callback calls this function. */
	reenter = (): void => {};
	readonly #scripts: readonly Script[];
	/** Broken laws. They are recorded, because an error in a callback may count as a failure of the operation. */
	readonly broken: string[] = [];

	constructor(scripts: readonly Script[]) {
		this.#scripts = scripts;
	}

	expect(law: string, holds: boolean): void {
		if (!holds) this.broken.push(law);
	}

	readonly start = (signal: AbortSignal): unknown => {
		this.expect("one operation at a time", !this.isOn);
		this.expect("a start begins with a signal that has not aborted", !signal.aborted);
		this.isOn = true;
		signal.addEventListener("abort", () => this.reenter());
		this.reenter();
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
			this.expect("one stop for each start", !isStopped);
			isStopped = true;
			this.expect("a stop comes after the abort of its signal", signal.aborted);
			this.reenter();
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
		onError: (error) => {
			books.errors.push(error);
			books.reenter();
		},
	});
	const controllers = Array.from({ length: 5 }, () => new SpiedController());
	let listeners: Listener[] = [];
	const settled: Listener[] = [];
	let caused = 0;
	let unstopped = 0;

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
		if (isAborted) books.expect("an aborted signal does not listen", shared.listeners === before);
	};
	const abort = (signal: number) => {
		const controller = controllers[signal]!;
		listeners = listeners.filter((listener) => listener.signal !== signal);
		// The controller is replaced before the abort, so that a listener that attaches during the abort uses the new one.
		controllers[signal] = new SpiedController();
		controller.abort(`abort ${signal}`);
		books.expect("no listener stays on an aborted signal", controller.listeners === 0);
	};

	const stop = () => {
		listeners = [];
		const before = books.starts;
		unstopped++;
		shared.stop({ reason: "stop" }).then(() => {
			unstopped--;
			books.expect("a stop resolves when what ran has ended", !books.isOn || books.starts > before);
		});
		if (shared.listeners === 0) {
			const isHeard = controllers.some((controller) => controller.listeners > 0);
			books.expect("no listener stays on a signal that was detached", !isHeard);
		}
	};

	const perform = ({ kind, signal }: Simple) => {
		if (kind === "attach") attach(signal);
		else if (kind === "abort") abort(signal);
		else stop();
	};
	let inner: Simple[] = [];
	const reenter = () => {
		const { state, listeners } = shared.getSnapshot();
		books.expect("the snapshot shows what is so", state === shared.state && listeners === shared.listeners);
		const next = inner.shift();
		if (next !== undefined) perform(next);
	};
	shared.subscribe(reenter);
	books.reenter = reenter;

	for (const command of commands) {
		if (command.kind === "advance") await clock.advance(command.duration);
		else if (command.kind === "re-enter") inner.push(command.command);
		else perform(command);
		if ((command.kind === "abort" && linger === 0 || command.kind === "stop") && shared.listeners === 0) {
			expect(["idle", "stopping"]).toContain(shared.state);
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
	// Failed expectations of subscribers are reported here.
	expect([books.errors.filter((error) => error instanceof Error), books.broken]).toEqual([[], []]);
	// At rest, the operation runs if and only if it has listeners, and each listener has its result.
	expect(shared.state).toBe(listeners.length > 0 ? "running" : "idle");
	for (const { outcome } of settled) expect(outcome).toBeDefined();
	for (let signal = 0; signal < 5; signal++) {
		abort(signal);
	}
	await clock.runUntilIdle();
	expect([shared.state, shared.listeners, clock.pending, books.isOn, unstopped]).toEqual(["idle", 0, 0, false, 0]);
	// Each start has failed or was stopped once, and each failure was reported to at most one listener.
	expect(books.starts).toBe(books.failures + books.stops);
	expect(caused).toBeLessThanOrEqual(books.failures);
}

describe("Intermittent", () => {
	test("keeps its laws under any interleaving of attach, abort, stop and time, whatever the operation does", async () => {
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
