import fc from "../property.ts";
import { describe, expect, test } from "vitest";
import {
	type ConfigContext,
	InvalidConfigError,
	Lifecycle,
	NameInUseError,
	type ServiceChange,
	ServiceFailedError,
	ServiceNotFoundError,
	type ServiceRecord,
	Services,
	sleep,
} from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

/** A configuration that determines the behavior of its application. */
interface Config {
	readonly time: number;
	/** The number of failures before the first success. */
	readonly failures: number;
	/** Whether it ends as soon as its signal aborts. */
	readonly isPolite: boolean;
	readonly readTime: number;
	/** Whether the configuration is unreadable. */
	readonly isBad: boolean;
}

type Simple =
	| { readonly kind: "create"; readonly id: string; readonly config: Config | undefined; readonly active: boolean }
	| { readonly kind: "configure"; readonly id: string; readonly config: Config }
	| { readonly kind: "delete" | "start" | "stop"; readonly id: string }
	| { readonly kind: "stop all" };

type Command =
	| Simple
	| { readonly kind: "take" | "leave and come back" }
	| { readonly kind: "advance"; readonly duration: number }
	/** A subscriber runs the command at the next change. */
	| { readonly kind: "re-enter"; readonly command: Simple };

const id = fc.constantFrom("a", "b", "c");
const config: fc.Arbitrary<Config> = fc.record({
	time: fc.constantFrom(0, 0, 3, 10),
	failures: fc.constantFrom(0, 0, 0, 1, 3),
	isPolite: fc.boolean(),
	readTime: fc.constantFrom(0, 0, 0, 4),
	isBad: fc.integer({ min: 0, max: 6 }).map((n) => n === 0),
});
const simple: fc.Arbitrary<Simple> = fc.oneof<fc.WeightedArbitrary<Simple>[]>(
	{
		weight: 5,
		arbitrary: fc.record({
			kind: fc.constant("create" as const),
			id,
			config: fc.option(config, { nil: undefined, freq: 4 }),
			active: fc.integer({ min: 0, max: 4 }).map((n) => n > 0),
		}),
	},
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant("configure" as const), id, config }) },
	{
		weight: 5,
		arbitrary: fc.record({ kind: fc.constantFrom("delete" as const, "start" as const, "stop" as const), id }),
	},
	{ weight: 1, arbitrary: fc.constant<Simple>({ kind: "stop all" }) },
);
const command: fc.Arbitrary<Command> = fc.oneof<fc.WeightedArbitrary<Command>[]>(
	{ weight: 14, arbitrary: simple },
	{
		weight: 3,
		arbitrary: fc.constantFrom<Command>({ kind: "take" }, { kind: "take" }, { kind: "leave and come back" }),
	},
	{ weight: 5, arbitrary: fc.record({ kind: fc.constant("advance" as const), duration: fc.nat(8) }) },
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant("re-enter" as const), command: simple }) },
);

const expected = [InvalidConfigError, NameInUseError, ServiceFailedError, ServiceNotFoundError, DOMException];

/** A watcher of any speed, which may leave and return. */
class Watcher {
	readonly view = new Map<string, Pick<ServiceRecord, "id" | "kind" | "state" | "error">>();
	readonly #services: Services;
	#changes: AsyncIterator<ServiceChange, undefined>;
	#next: Promise<unknown> | undefined;
	#arrived: IteratorResult<ServiceChange, undefined> | undefined;
	#revision = 0;
	#isBack = false;

	constructor(services: Services) {
		this.#services = services;
		this.#changes = services.watch();
	}

	/** Reads a change, if there is one. */
	async take(): Promise<boolean> {
		this.#next ??= this.#changes.next().then((result) => this.#arrived = result);
		for (let i = 0; i < 10 && this.#arrived === undefined; i++) await null;
		const arrived = this.#arrived;
		if (arrived === undefined) return false;
		this.#arrived = this.#next = undefined;
		this.#accept(arrived.value!);
		return true;
	}

	#accept({ type, revision, ...record }: ServiceChange): void {
		expect(revision).toBeGreaterThanOrEqual(this.#revision);
		this.#revision = revision;
		// Only a watcher that returned may get a removal of an unknown service.
		if (type !== "removed" || !this.#isBack) expect(this.view.has(record.id)).toBe(type !== "added");
		if (type === "removed") this.view.delete(record.id);
		else this.view.set(record.id, record);
	}

	async comeBack(): Promise<void> {
		await this.take(); // the change may have arrived already
		await this.#changes.return!();
		await this.#next;
		this.#arrived = this.#next = undefined;
		this.#isBack = this.#revision > 0;
		if (!this.#isBack) this.view.clear();
		this.#changes = this.#services.watch({ since: this.#revision });
	}

	leave(): void {
		this.#changes.return!();
	}
}

/** Drives a registry and keeps the records for the checks of its laws. */
class Bench {
	readonly clock = new VirtualClock();
	readonly services: Services;
	readonly watchers: Watcher[];
	readonly made: { readonly id: string; readonly lifecycle: Lifecycle<Config>; readonly signals: AbortSignal[] }[] = [];
	readonly errors: unknown[] = [];
	#unsettled = 0;
	#applying = 0;
	/** The commands for subscribers. */
	#inner: Simple[] = [];

	constructor(hasRetry: boolean) {
		this.services = new Services({
			kinds: { a: (id) => this.#make(id, hasRetry) },
			onError: (e) => this.errors.push(e),
		});
		this.services.subscribe(() => {
			const command = this.#inner.shift();
			if (command !== undefined) this.do(command);
		});
		this.watchers = [new Watcher(this.services), new Watcher(this.services)];
	}

	#make(id: string, hasRetry: boolean): Lifecycle<Config> {
		const signals: AbortSignal[] = [];
		const failures = new Map<Config, number>();
		// Nothing of an earlier service with this id is running.
		for (const other of this.made.filter((other) => other.id === id)) this.#checkGone(other);
		const apply = async (config: Config, { signal }: ConfigContext) => {
			signals.push(signal);
			this.#applying++;
			try {
				await sleep(config.time, { clock: this.clock, signal: config.isPolite ? signal : undefined });
				const count = failures.get(config) ?? 0;
				failures.set(config, count + 1);
				if (count < config.failures) throw new Error("failure");
			} finally {
				this.#applying--;
			}
		};
		const lifecycle = new Lifecycle(apply, {
			readConfig: async (data) => {
				const config = data as Config;
				await sleep(config.readTime, { clock: this.clock });
				if (config.isBad) throw new SyntaxError("unreadable");
				return config;
			},
			retry: hasRetry ? { backoff: 2 } : undefined,
			clock: this.clock,
		});
		this.made.push({ id, lifecycle, signals });
		return lifecycle;
	}

	#checkGone({ lifecycle, signals }: Bench["made"][number]): void {
		expect([lifecycle.state, signals.every(({ aborted }) => aborted)]).toEqual(["inactive", true]);
	}

	async do(command: Command): Promise<void> {
		const { services } = this;
		if (command.kind === "create") this.#create(command);
		else if (command.kind === "configure") this.#follow(services.configure(command.id, command.config));
		else if (command.kind === "start") this.#follow(services.start(command.id));
		else if (command.kind === "stop") this.#follow(services.stop(command.id));
		else if (command.kind === "stop all") this.#follow(services.stop());
		else if (command.kind === "delete") this.#delete(command.id);
		else if (command.kind === "take") await this.watchers[0]!.take();
		else if (command.kind === "leave and come back") await this.watchers[0]!.comeBack();
		else if (command.kind === "re-enter") this.#inner.push(command.command);
		else if (command.kind === "advance") await this.clock.advance(command.duration);
	}

	#create({ id, config, active }: Command & { kind: "create" }): void {
		const isTaken = this.services.get(id) !== undefined;
		const revisions: number[] = [this.services.revision];
		this.#follow(this.services.create({ id, kind: "a", config, active }), (error) => {
			if (error !== undefined) return;
			expect(isTaken).toBe(false);
			expect(this.services.revision).toBeGreaterThan(revisions[0]!);
		});
	}

	/** Deletes a service, which must not exist when the promise settles unless a concurrent call has created it again. */
	#delete(id: string): void {
		const before = this.made.length;
		this.#follow(this.services.delete(id), () => {
			if (this.services.get(id) === undefined || this.made.length > before) return;
			throw new Error(`${id} is still there`);
		});
	}

	#follow(promise: Promise<unknown>, check: (error: unknown) => void = () => {}): void {
		this.#unsettled++;
		const settled = (error: unknown) => {
			this.#unsettled--;
			if (error !== undefined && !expected.some((kind) => error instanceof kind)) this.errors.push(error);
			check(error);
		};
		promise.then(() => settled(undefined), settled).catch((error) => this.errors.push(error));
	}

	/** Checks the laws that hold at rest. */
	async checkRest(): Promise<void> {
		expect([this.errors, this.#unsettled, this.#applying]).toEqual([[], 0, 0]);
		for (const made of this.made) {
			const isListed = this.made.findLast(({ id }) => id === made.id) === made && this.services.get(made.id);
			if (isListed) expect(this.services.get(made.id)!.state).toBe(made.lifecycle.state);
			else this.#checkGone(made);
		}
		for (const watcher of this.watchers) {
			while (await watcher.take());
			expect([...watcher.view.values()].sort((x, y) => x.id < y.id ? -1 : 1)).toEqual(this.services.list());
		}
	}

	async end(): Promise<void> {
		this.#inner = [];
		for (const { id } of this.services.list()) this.#delete(id);
		await this.clock.runUntilIdle(2_000);
		await this.checkRest();
		expect([this.services.list(), this.clock.pending]).toEqual([[], 0]);
		for (const watcher of this.watchers) watcher.leave();
	}
}

describe("Services", () => {
	test("keeps its laws under any interleaving of calls, failing configurations and slow watchers", async () => {
		await fc.assert(
			fc.asyncProperty(fc.boolean(), fc.array(command, { maxLength: 40 }), async (hasRetry, commands) => {
				const bench = new Bench(hasRetry);
				await bench.watchers[1]!.take(); // this watcher does not read again before the end
				for (const command of commands) await bench.do(command);
				await bench.clock.runUntilIdle(2_000);
				await bench.checkRest();
				await bench.end();
			}),
			{ numRuns: 400 },
		);
	});
});
