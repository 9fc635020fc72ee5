import fc from "../property.ts";
import { describe, expect, test } from "vitest";
import { type ConfigContext, Lifecycle, type LifecycleState, sleep } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

/** A configuration that determines the behavior of its application. */
interface Config {
	readonly time: number;
	/** The number of failures before the first success. */
	readonly failures: number;
	/** Whether it ends as soon as its signal aborts. */
	readonly isPolite: boolean;
	/** The method that the application calls. */
	readonly inner: "nothing" | "stop" | "restart" | "configure";
}

interface Configure {
	readonly kind: "configure";
	readonly config: Config;
	readonly readTime: number;
	/** Whether the configuration is unreadable. */
	readonly isBad: boolean;
}

type Command =
	| { readonly kind: "start" }
	| { readonly kind: "stop" }
	| Configure
	| { readonly kind: "advance"; readonly duration: number };

interface Configured {
	readonly number: number;
	readonly period: number;
	readonly config: Config;
	failuresLeft: number;
	result?: LifecycleState | "rejected";
}

const config: fc.Arbitrary<Config> = fc.record({
	time: fc.constantFrom(0, 0, 3, 10),
	failures: fc.constantFrom(0, 0, 0, 1, 3),
	isPolite: fc.boolean(),
	inner: fc.constantFrom("nothing", "nothing", "nothing", "nothing", "stop", "restart", "configure"),
});

const command: fc.Arbitrary<Command> = fc.oneof<fc.WeightedArbitrary<Command>[]>(
	{ weight: 1, arbitrary: fc.constantFrom<Command>({ kind: "start" }, { kind: "start" }, { kind: "stop" }) },
	{
		weight: 3,
		arbitrary: fc.record({
			kind: fc.constant("configure" as const),
			config,
			readTime: fc.constantFrom(0, 0, 0, 5),
			isBad: fc.integer({ max: 9, min: 0 }).map((n) => n === 0),
		}),
	},
	{ weight: 2, arbitrary: fc.record({ kind: fc.constant("advance" as const), duration: fc.nat(8) }) },
);

/** Drives a lifecycle and keeps the records for the checks of its laws. */
class Bench {
	readonly clock = new VirtualClock();
	readonly all: Configured[] = [];
	readonly lifecycle: Lifecycle<Configured>;
	readonly #signals: { readonly configured: Configured; readonly signal: AbortSignal }[] = [];
	/** Broken laws. They are recorded, because an error in an application would only make it fail. */
	readonly #violations: string[] = [];
	#isApplying = false;
	/** The number of the current period, which a start begins; 0 while stopped. */
	period = 0;
	#periods = 0;
	/** The newest readable configuration of this period, which must be in effect at the end. */
	newest: Configured | undefined;
	readonly hasRetry: boolean;

	constructor(hasRetry: boolean) {
		this.hasRetry = hasRetry;
		this.lifecycle = new Lifecycle((configured: Configured, context) => this.#apply(configured, context), {
			readConfig: (data) => this.#read(data as Configure & { configured: Configured }),
			retry: hasRetry ? { backoff: 2 } : undefined,
			clock: this.clock,
		});
	}

	start(): void {
		this.lifecycle.start();
		if (this.period > 0) return;
		this.period = ++this.#periods;
		this.newest = undefined;
		expect(this.lifecycle.state).toBe("active");
	}

	stop(): void {
		const stopped = this.lifecycle.stop();
		this.period = 0;
		this.newest = undefined;
		expect(this.lifecycle.state).toBe("inactive");
		for (const { signal } of this.#signals) expect(signal.aborted).toBe(true);
		stopped.then((state) => expect(state).toBe("inactive"));
	}

	configure(command: Configure): void {
		const { config } = command;
		const configured: Configured = {
			number: this.all.length,
			period: this.period,
			config,
			failuresLeft: config.failures,
		};
		this.all.push(configured);
		this.lifecycle.configure({ ...command, configured }).then(
			(state) => configured.result = state,
			() => configured.result = "rejected",
		);
		if (command.readTime === 0) this.#accept(command, configured);
	}

	#read(data: Configure & { configured: Configured }): Configured | Promise<Configured> {
		const read = () => {
			if (data.isBad) throw new Error("unreadable");
			return data.configured;
		};
		if (data.readTime === 0) return read();
		return sleep(data.readTime, { clock: this.clock }).then(() => {
			this.#accept(data, data.configured);
			return read();
		});
	}

	#accept({ isBad }: { isBad: boolean }, configured: Configured): void {
		if (isBad || configured.period === 0 || configured.period !== this.period) return;
		if (configured.number > (this.newest?.number ?? -1)) this.newest = configured;
	}

	async #apply(configured: Configured, { signal }: ConfigContext): Promise<void> {
		this.#expect(!this.#isApplying, "one application at a time");
		this.#isApplying = true;
		this.#expect(!signal.aborted && configured.period === this.period, "nothing is applied that is over");
		this.#expect(this.#signals.every(({ signal }) => signal.aborted), "what was applied before has ended");
		this.#signals.push({ configured, signal });
		try {
			this.#inner(configured);
			await sleep(configured.config.time, {
				clock: this.clock,
				signal: configured.config.isPolite && !signal.aborted ? signal : undefined,
			});
			if (configured.failuresLeft-- > 0) throw new Error("failure");
		} finally {
			this.#isApplying = false;
		}
	}

	#expect(isKept: boolean, law: string): void {
		if (!isKept) this.#violations.push(law);
	}

	#inner({ config }: Configured): void {
		if (config.inner === "stop" || config.inner === "restart") this.stop();
		if (config.inner === "restart") this.start();
		const inner: Config = { time: 1, failures: 0, isPolite: true, inner: "nothing" };
		if (config.inner === "configure") this.configure({ kind: "configure", config: inner, readTime: 0, isBad: false });
	}

	/** Checks the laws that hold at rest. */
	checkRest(): void {
		const { newest } = this;
		const isFailed = newest !== undefined && newest.config.failures > 0 && !this.hasRetry;
		const expected = this.period === 0 ? "inactive" : isFailed ? "error" : "active";
		expect(this.lifecycle.state).toBe(expected);
		expect([this.#isApplying, this.#violations]).toEqual([false, []]);
		for (const { result } of this.all) expect(result).toBeDefined();
		const holding = this.#signals.filter(({ signal }) => !signal.aborted).map(({ configured }) => configured.number);
		expect(holding).toEqual(expected === "active" && newest !== undefined ? [newest.number] : []);
	}
}

describe("Lifecycle", () => {
	test("keeps its laws under any interleaving of start, configure, stop and time", async () => {
		await fc.assert(
			fc.asyncProperty(fc.boolean(), fc.array(command, { maxLength: 25 }), async (hasRetry, commands) => {
				const bench = new Bench(hasRetry);
				for (const command of commands) {
					if (command.kind === "start") bench.start();
					else if (command.kind === "stop") bench.stop();
					else if (command.kind === "advance") await bench.clock.advance(command.duration);
					else bench.configure(command);
				}
				await bench.clock.runUntilIdle(2000);
				bench.checkRest();
				bench.stop();
				await bench.clock.runUntilIdle(2000);
				bench.checkRest();
				expect(bench.clock.pending).toBe(0);
			}),
			{ numRuns: 500 },
		);
	});
});
