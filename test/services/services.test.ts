import { describe, expect, test, vi } from "vitest";
import {
	InvalidConfigError,
	Lifecycle,
	type LifecycleSnapshot,
	NameInUseError,
	type Service,
	type ServiceChange,
	ServiceFailedError,
	ServiceNotFoundError,
	Services,
	type ServicesOptions,
	UnknownKindError,
} from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { atEachCall } from "../reentry.ts";
import { deferred, errorOf, settle, SpiedController, untilAborted, watch } from "../support.ts";

interface Config {
	fails?: boolean;
	hangs?: boolean;
}

/** Creates a registry with one kind, whose services log their calls. */
function bench(options: Partial<ServicesOptions<"a">> = {}) {
	const log: string[] = [];
	const made: Lifecycle<Config>[] = [];
	const a = (id: string) => {
		const lifecycle = new Lifecycle(async (config: Config, { signal }) => {
			log.push(`${id} applies ${JSON.stringify(config)}`);
			signal.addEventListener("abort", () => void log.push(`${id} ends`));
			if (config.hangs) await untilAborted(signal);
			if (config.fails) throw new Error("failure");
		});
		made.push(lifecycle);
		return lifecycle;
	};
	const services = new Services({ kinds: { a }, ...options });
	return { services, log, made };
}

function brief({ type, id, state }: ServiceChange): string {
	return `${type} ${id} ${state}`;
}

/** Reads the given number of changes. */
async function drain(changes: AsyncIterator<ServiceChange, undefined>, count: number): Promise<string[]> {
	const seen: string[] = [];
	while (seen.length < count) seen.push(brief((await changes.next()).value!));
	return seen;
}

describe("Services.create()", () => {
	test("makes, starts and configures a service, and resolves with what it then is", async () => {
		const { services, log } = bench();
		const record = await services.create({ id: "x", kind: "a", config: `{"hangs":false}` });
		expect(record).toEqual({ id: "x", kind: "a", state: "active", error: undefined });
		expect(services.get("x")).toBe(record);
		expect(log).toEqual([`x applies {"hangs":false}`]);
	});

	test("without a configuration only starts, and with active: false not even that", async () => {
		const { services, log } = bench();
		expect(await services.create({ id: "x", kind: "a" })).toMatchObject({ state: "active" });
		const inactive = await services.create({ id: "y", kind: "a", config: { later: 1 }, active: false });
		expect(inactive.state).toBe("inactive");
		expect(log).toEqual([]);
		await services.start("y");
		expect(log).toEqual([`y applies {"later":1}`]);
	});

	test("takes ids that are given, random by default, the kind, or made by a function", async () => {
		const { services } = bench();
		const { id } = await services.create({ kind: "a" });
		expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
		expect((await services.create({ kind: "a" })).id).not.toBe(id);
		const byKind = bench({ ids: "kind" }).services;
		expect((await byKind.create({ kind: "a" })).id).toBe("a");
		expect(await errorOf(byKind.create({ kind: "a" }))).toBeInstanceOf(NameInUseError);
		expect((await byKind.create({ id: "b", kind: "a" })).id).toBe("b");
		const made = bench({ ids: ({ kind, config }) => `${kind} ${config}` }).services;
		expect((await made.create({ kind: "a", config: 5 })).id).toBe("a 5");
		expect(() => new Services({ kinds: {}, ids: "uuid" as never })).toThrow(
			'"ids" must be random or kind: current value is uuid',
		);
	});

	test("lets one of several with the same id win, also before it is created", async () => {
		const { services, made } = bench();
		const [first, ...others] = [1, 2, 3].map(() => watch(services.create({ id: "x", kind: "a" })));
		await settle();
		expect(first!.state).toBe("resolved");
		for (const { error } of others) {
			expect(error).toMatchObject({
				...{ name: "NameInUseError", subject: "service", id: "x" },
				message: 'There is already a service "x": use another id, or delete that one first',
			});
		}
		expect(made.length).toBe(1);
	});

	test("refuses what is wrong at the door", async () => {
		const { services, made } = bench();
		const unknown = services.create({ kind: "constructor" as "a" });
		expect(await errorOf(unknown)).toBeInstanceOf(UnknownKindError);
		expect(await errorOf(unknown)).toMatchObject({
			...{ kind: "constructor", kinds: ["a"] },
			message: `"kind" must be a: current value is constructor`,
		});
		for (const request of [{}, null, 1, { kind: "a", id: 1 }, { kind: "a", active: 1 }]) {
			expect(await errorOf(services.create(request as never))).toBeInstanceOf(TypeError);
		}
		expect(await errorOf(services.create({ kind: "a", id: "" }))).toBeInstanceOf(RangeError);
		expect(made).toEqual([]);
		expect(() => new Services({ kinds: { a: 1 as never } })).toThrow(/"kinds.a" must be a function/);
		expect(() => new Services(undefined as never)).toThrow(TypeError);
	});

	test("leaves nothing behind if the configuration cannot be read", async () => {
		const { services, made } = bench();
		const onChange = vi.fn();
		services.subscribe(onChange);
		const error = await errorOf(services.create({ id: "x", kind: "a", config: "no JSON" }));
		expect(error).toBeInstanceOf(InvalidConfigError);
		expect(error).toMatchObject({
			...{ id: "x", cause: { name: "SyntaxError" } },
			message: `The configuration of the service "x" cannot be read: ${((error as Error).cause as Error).message}`,
		});
		expect([services.list(), services.get("x"), made[0]!.state]).toEqual([[], undefined, "inactive"]);
		expect(onChange).not.toHaveBeenCalled();
		await services.create({ id: "x", kind: "a" });
	});

	test("leaves nothing behind if the configuration cannot be applied, even if it would be tried again", async () => {
		const clock = new VirtualClock();
		const signals: AbortSignal[] = [];
		const a = () =>
			new Lifecycle((_config, { signal }) => {
				signals.push(signal);
				throw new Error("failure");
			}, { retry: { backoff: 10 }, clock });
		const services = new Services({ kinds: { a } });
		const created = watch(services.create({ id: "x", kind: "a", config: {} }));
		await clock.runUntilIdle();
		expect(created.error).toBeInstanceOf(ServiceFailedError);
		expect(created.error).toMatchObject({
			...{ id: "x", cause: { message: "failure" } },
			message: 'The service "x" has failed: failure',
		});
		expect([services.list(), signals.length, signals[0]!.aborted, clock.pending]).toEqual([[], 1, true, 0]);
	});

	test("leaves nothing behind if the service cannot be made or started, and reports a stop that fails then", async () => {
		const onError = vi.fn();
		const failing = (step: string): Service => ({
			...fake(),
			start: () => Promise.reject(step),
			stop: () => Promise.reject("stop"),
		});
		const services = new Services({
			kinds: {
				made: () => {
					throw "make";
				},
				late: () => Promise.reject("late"),
				started: () => failing("start"),
			},
			ids: "kind",
			onError,
		});
		for (const [kind, cause] of Object.entries({ made: "make", late: "late", started: "start" })) {
			const error = await errorOf(services.create({ kind: kind as "made" }));
			expect(error).toMatchObject({ name: "ServiceFailedError", cause });
		}
		expect(services.list()).toEqual([]);
		expect(onError.mock.calls).toEqual([["stop"]]);
	});

	test("keeps the id for itself and the service out of sight until it is created", async () => {
		const made = deferred<Service>();
		const services = new Services({ kinds: { a: () => made.promise }, ids: "kind" });
		const created = services.create({ kind: "a" });
		expect([services.get("a"), services.list()]).toEqual([undefined, []]);
		for (const call of [services.start("a"), services.stop("a"), services.configure("a", {})]) {
			expect(await errorOf(call)).toBeInstanceOf(ServiceNotFoundError);
		}
		made.resolve(fake());
		await created;
		expect(services.list().length).toBe(1);
	});
});

/** Creates a minimal service. */
function fake(): Service {
	return {
		start() {},
		stop() {},
		configure() {},
		subscribe: () => () => {},
		getSnapshot: () => ({ state: "active", error: undefined }),
	};
}

describe("Services.delete()", () => {
	test("stops first, then removes; is harmless without a service", async () => {
		const { services, log } = bench();
		await services.create({ id: "x", kind: "a", config: {} });
		const deleted = services.delete("x");
		expect(services.get("x")).toMatchObject({ state: "inactive" });
		expect([await deleted, await services.delete("x"), await services.delete("y")]).toEqual([true, false, false]);
		expect(log).toEqual(["x applies {}", "x ends"]);
		expect([services.list(), services.get("x")]).toEqual([[], undefined]);
	});

	test("twice at the same time stops once, and both wait", async () => {
		const stop = vi.fn(() => settle());
		const services = new Services({ kinds: { a: () => ({ ...fake(), stop }) }, ids: "kind" });
		await services.create({ kind: "a" });
		const results = Promise.all([services.delete("a"), services.delete("a")]);
		expect(await errorOf(services.configure("a", {}))).toBeInstanceOf(ServiceNotFoundError);
		expect(await errorOf(services.create({ kind: "a" }))).toBeInstanceOf(NameInUseError);
		expect(await results).toEqual([true, true]);
		expect(stop).toHaveBeenCalledTimes(1);
	});

	test("gives up a creation, whatever that waits for", async () => {
		const { services, log } = bench();
		const created = watch(services.create({ id: "x", kind: "a", config: { hangs: true } }));
		await settle();
		expect(log).toEqual([`x applies {"hangs":true}`]);
		expect(await services.delete("x")).toBe(true);
		await settle();
		expect(created.error).toMatchObject({ name: "AbortError" });
		expect([services.list(), log.at(-1)]).toEqual([[], "x ends"]);
	});

	test("at any moment of a creation leaves nothing behind", async () => {
		for (let moment = 0; moment < 20; moment++) {
			const { services, made } = bench();
			const created = watch(services.create({ id: "x", kind: "a", config: {} }));
			for (let i = 0; i < moment; i++) await null;
			expect(await services.delete("x")).toBe(true);
			await settle();
			expect(created.state).not.toBe("pending");
			expect([services.list(), made[0]!.state]).toEqual([[], "inactive"]);
			await services.create({ id: "x", kind: "a" });
		}
	});

	test("during a configure() leaves nothing behind", async () => {
		const { services, log } = bench();
		await services.create({ id: "x", kind: "a" });
		const configured = services.configure("x", { hangs: true });
		expect(await services.delete("x")).toBe(true);
		expect(await configured).toMatchObject({ state: "inactive" });
		expect(log.at(-1)).toBe("x ends");
	});

	test("rejects with what the stop threw, and keeps the service then", async () => {
		let fails = true;
		const stop = () => fails ? Promise.reject("stuck") : undefined;
		const services = new Services({ kinds: { a: () => ({ ...fake(), stop }) }, ids: "kind" });
		await services.create({ kind: "a" });
		expect(await errorOf(services.delete("a"))).toBe("stuck");
		expect(await errorOf(services.stop())).toMatchObject({ errors: ["stuck"] });
		expect(services.list().length).toBe(1);
		fails = false;
		expect(await services.delete("a")).toBe(true);
	});
});

describe("Services.start(), stop() and configure()", () => {
	test("reject without a service, and for an id of the wrong type", async () => {
		const { services } = bench();
		await services.create({ id: "x", kind: "a" });
		for (const call of [services.start("y"), services.stop("y"), services.configure("y", {})]) {
			expect(await errorOf(call)).toMatchObject({ name: "ServiceNotFoundError", id: "y" });
		}
		const noId = undefined as unknown as string;
		for (
			const call of [services.start(noId), services.stop(noId), services.configure(noId, {}), services.delete(noId)]
		) {
			expect(await errorOf(call)).toBeInstanceOf(TypeError);
		}
		expect(services.get("x")!.state).toBe("active");
	});

	test("start() applies the last configuration that could be read", async () => {
		const { services, log } = bench();
		await services.create({ id: "x", kind: "a", config: { n: 1 } });
		await services.configure("x", { n: 2 });
		expect(await errorOf(services.configure("x", "{"))).toBeInstanceOf(InvalidConfigError);
		expect(services.get("x")!.state).toBe("active");
		expect(await services.stop("x")).toMatchObject({ state: "inactive" });
		expect(await services.start("x")).toMatchObject({ state: "active" });
		await services.start("x");
		expect(log.filter((line) => line.includes("applies"))).toEqual([1, 2, 2].map((n) => `x applies {"n":${n}}`));
	});

	test("start() with a configuration that cannot be read leaves the service inactive", async () => {
		const { services } = bench();
		await services.create({ id: "x", kind: "a", config: "{", active: false });
		expect(await errorOf(services.start("x"))).toBeInstanceOf(InvalidConfigError);
		expect(services.get("x")!.state).toBe("inactive");
	});

	test("configure() of a stopped service rejects, and one that fails is seen in the state", async () => {
		const { services } = bench();
		await services.create({ id: "x", kind: "a" });
		expect(await services.configure("x", { fails: true })).toMatchObject({
			state: "error",
			error: { message: "failure" },
		});
		expect(await services.stop("x")).toMatchObject({ state: "inactive", error: undefined });
		expect(await errorOf(services.configure("x", {}))).toMatchObject({
			name: "InvalidStateError",
			message: 'The service "x" is not started: start it first',
		});
	});

	test("a configure() or stop() outdates the start() before it", async () => {
		const applied: unknown[] = [];
		const started = deferred();
		const service: Service = {
			...fake(),
			start: () => started.promise,
			configure: (data) => void applied.push(data),
			getSnapshot: () => ({ state: applied.length === 0 ? "inactive" : "active", error: undefined }),
		};
		const services = new Services({ kinds: { a: () => service }, ids: "kind" });
		await services.create({ kind: "a", config: 1, active: false });
		const start = services.start("a");
		await services.stop("a");
		started.resolve();
		await start;
		expect(applied).toEqual([]);
	});

	test("start() after a stop() in the same turn applies the configuration that was loading, or being read", async () => {
		for (const readsLate of [false, true]) {
			const read = deferred();
			const applied: unknown[] = [];
			const a = () =>
				new Lifecycle(async (config: { n: number }, { signal }) => {
					applied.push(config.n);
					if (config.n === 2 && applied.length === 2 && !readsLate) await untilAborted(signal);
				}, {
					readConfig: async (data) => {
						if (readsLate && (data as { n: number }).n === 2) await read.promise;
						return data as { n: number };
					},
				});
			const services = new Services({ kinds: { a } });
			await services.create({ id: "x", kind: "a", config: { n: 1 } });
			const configured = services.configure("x", { n: 2 });
			if (!readsLate) await settle();
			const all = Promise.all([services.stop("x"), services.start("x")]);
			await settle();
			read.resolve();
			await all;
			expect([(await configured).state, services.get("x")!.state, applied.at(-1)]).toEqual(["active", "active", 2]);
			await services.stop("x");
			await services.start("x");
			expect(applied.slice(-2)).toEqual([2, 2]);
		}
	});

	test("start() falls back to the last configuration that reads if one that was being read at a stop() does not", async () => {
		const read = deferred();
		const applied: unknown[] = [];
		const a = () =>
			new Lifecycle((config: number) => void applied.push(config), {
				readConfig: async (data) => {
					if (data === 2) await read.promise;
					return data as number;
				},
			});
		const services = new Services({ kinds: { a } });
		await services.create({ id: "x", kind: "a", config: 1 });
		const configured = errorOf(services.configure("x", 2));
		const all = Promise.all([services.stop("x"), services.start("x")]);
		await settle();
		read.reject(new SyntaxError("unreadable"));
		await all;
		expect([await configured, services.get("x")!.state, applied]).toMatchObject([
			{ name: "InvalidConfigError" },
			"active",
			[1, 1],
		]);
	});

	test("configure() during a start() that takes time is passed on after the configuration of the start", async () => {
		for (const data of ["new", "bad"]) {
			const started = deferred();
			const passed: unknown[] = [];
			let state: "active" | "inactive" = "inactive";
			const service: Service = {
				...fake(),
				start: () => {
					state = "active";
					return started.promise;
				},
				configure: (config) => {
					if (config === "bad") throw new SyntaxError("bad");
					passed.push(config);
				},
				getSnapshot: () => ({ state, error: undefined }),
			};
			const services = new Services({ kinds: { a: () => service }, ids: "kind" });
			await services.create({ kind: "a", config: "old", active: false });
			const start = services.start("a");
			const configured = services.configure("a", data).catch((error) => error.name);
			started.resolve();
			await start;
			await configured;
			expect(passed).toEqual(data === "bad" ? ["old"] : ["old", "new"]);
		}
	});

	test("take a value that is no JSON, and pass it on at each start", async () => {
		const applied: unknown[] = [];
		const a = () => new Lifecycle((config: unknown) => void applied.push(config));
		const services = new Services({ kinds: { a } });
		await services.create({ id: "x", kind: "a", config: "{", parsed: true });
		await services.configure("x", "[1]");
		await services.configure("x", "[1]", { parsed: true });
		await services.stop("x");
		await services.start("x");
		expect(applied).toEqual(["{", [1], "[1]", "[1]"]);
		for (const options of [null, 5, { parsed: 1 }]) {
			expect(await errorOf(services.configure("x", "1", options as never))).toBeInstanceOf(TypeError);
		}
		expect(await errorOf(services.create({ kind: "a", parsed: "yes" as never }))).toBeInstanceOf(TypeError);
		expect([services.list().length, applied.length]).toEqual([1, 4]);
	});

	test("stop() without an id stops all, gives up creations and refuses new ones meanwhile", async () => {
		const { services, made } = bench();
		await services.create({ id: "x", kind: "a" });
		const created = watch(services.create({ id: "y", kind: "a", config: { hangs: true } }));
		await settle();
		const stopped = services.stop();
		expect(await errorOf(services.create({ id: "z", kind: "a" }))).toMatchObject({ name: "AbortError" });
		expect(await errorOf(services.start("x"))).toMatchObject({ name: "AbortError" });
		await stopped;
		await services.stop();
		expect(created.state).toBe("rejected");
		expect([...services.states()]).toEqual([["x", "inactive"]]);
		expect(made.map(({ state }) => state)).toEqual(["inactive", "inactive"]);
		expect(await services.start("x")).toMatchObject({ state: "active" });
	});

	test("Symbol.asyncDispose stops all, where the runtime has that symbol", async () => {
		if (Symbol.asyncDispose === undefined) return;
		const { services } = bench();
		await services.create({ id: "x", kind: "a" });
		await services[Symbol.asyncDispose]();
		await services[Symbol.asyncDispose]();
		expect(services.get("x")!.state).toBe("inactive");
	});
});

describe("Services.list() and states()", () => {
	test("are in the order of the ids; list() gives pages, also after an id that is gone", async () => {
		const { services } = bench();
		for (const id of ["c", "a", "e", "B", "d"]) await services.create({ id, kind: "a" });
		const ids = (options?: Parameters<typeof services.list>[0]) => services.list(options).map(({ id }) => id).join("");
		expect(ids()).toBe("Bacde");
		expect([...services.states().keys()].join("")).toBe("Bacde");
		expect([ids({ limit: 2 }), ids({ after: "a", limit: 2 }), ids({ after: "bb" }), ids({ after: "e" })])
			.toEqual(["Ba", "cd", "cde", ""]);
		for (const limit of [0, -1, 1.5, NaN]) expect(() => services.list({ limit })).toThrow(RangeError);
		expect(() => services.list({ after: 1 as never })).toThrow(TypeError);
	});

	test("getSnapshot() is the same object until something changes, and subscribe() tells when", async () => {
		const { services, made } = bench();
		const onChange = vi.fn();
		const unsubscribe = services.subscribe(onChange);
		await services.create({ id: "x", kind: "a" });
		expect(onChange).toHaveBeenCalledTimes(1);
		const before = services.getSnapshot();
		expect(services.getSnapshot()).toBe(before);
		await made[0]!.configure({});
		expect(onChange).toHaveBeenCalledTimes(3);
		expect(before[0]).toEqual({ id: "x", kind: "a", state: "active", error: undefined });
		unsubscribe();
		await services.delete("x");
		await made[0]!.start();
		expect(onChange).toHaveBeenCalledTimes(3);
	});
});

describe("Services.watch()", () => {
	test("starts with the present services and gives each change once and in order", async () => {
		const { services } = bench();
		await services.create({ id: "y", kind: "a" });
		await services.create({ id: "x", kind: "a" });
		const changes = services.watch();
		expect(brief((await changes.next()).value!)).toBe("added y active");
		services.stop("y"); // during the delivery of the first changes
		await services.create({ id: "z", kind: "a" });
		expect(await drain(changes, 3)).toEqual(["added x active", "updated y inactive", "added z active"]);
		const next = changes.next();
		await services.delete("z");
		expect(brief((await next).value!)).toBe("updated z inactive");
		expect(await drain(changes, 1)).toEqual(["removed z inactive"]);
		const pending = watch(changes.next());
		await settle();
		expect(pending.state).toBe("pending");
		await changes.return!();
	});

	test("conflates the states of one service, and what has come and gone is never told", async () => {
		const { services } = bench();
		await services.create({ id: "x", kind: "a" });
		const changes = services.watch();
		await changes.next();
		for (let i = 0; i < 100; i++) {
			await services.stop("x");
			await services.start("x");
			await services.create({ id: `fleeting ${i}`, kind: "a" });
			await services.delete(`fleeting ${i}`);
		}
		await services.create({ id: "z", kind: "a" });
		expect(await drain(changes, 2)).toEqual(["updated x active", "added z active"]);
		await changes.return!();
	});

	test("a service that was replaced is removed and then added", async () => {
		const { services } = bench();
		await services.create({ id: "x", kind: "a" });
		const changes = services.watch();
		await changes.next();
		for (let i = 0; i < 3; i++) {
			await services.delete("x");
			await services.create({ id: "x", kind: "a" });
		}
		expect(await drain(changes, 2)).toEqual(["removed x inactive", "added x active"]);
		await services.delete("x");
		await services.create({ id: "x", kind: "a" });
		await services.delete("x");
		await services.create({ id: "y", kind: "a" });
		expect(await drain(changes, 2)).toEqual(["removed x inactive", "added y active"]);
		await changes.return!();
	});

	test("lets nobody wait for ever behind a service that changes all the time", async () => {
		const { services } = bench();
		for (const id of ["x", "y", "z"]) await services.create({ id, kind: "a" });
		const changes = services.watch();
		await drain(changes, 3);
		const seen: string[] = [];
		for (let i = 0; i < 6; i++) {
			for (const id of ["x", "y", "z"]) {
				await (services.get(id)!.state === "active" ? services.stop(id) : services.start(id));
			}
			seen.push((await changes.next()).value!.id);
		}
		expect(seen.join("")).toBe("xyzxyz");
		await changes.return!();
	});

	test("serves several calls of next() in order", async () => {
		const { services } = bench();
		const changes = services.watch();
		const calls = [changes.next(), changes.next(), changes.next()];
		await services.create({ id: "x", kind: "a" });
		await services.create({ id: "y", kind: "a" });
		expect((await Promise.all(calls.slice(0, 2))).map(({ value }) => value!.id)).toEqual(["x", "y"]);
		await changes.return!();
		expect(await calls[2]).toEqual({ value: undefined, done: true });
	});

	// Safari and older Firefox lack this symbol, but return() works.
	test.skipIf(Symbol.asyncDispose === undefined)("ends when it is disposed of, twice or once", async () => {
		const { services } = bench();
		const changes = services.watch();
		const next = changes.next();
		await changes[Symbol.asyncDispose]();
		await changes[Symbol.asyncDispose]();
		expect([await next, await changes.next()]).toEqual([
			{ value: undefined, done: true },
			{ value: undefined, done: true },
		]);
	});

	test("ends at an abort or return(), with its listener", async () => {
		const { services } = bench();
		const controller = new SpiedController();
		await services.create({ id: "x", kind: "a" });
		const changes = services.watch({ signal: controller.signal });
		expect(controller.listeners).toBe(0);
		const seen: string[] = [];
		const loop = (async () => {
			for await (const change of changes) seen.push(brief(change));
		})();
		await settle();
		expect([controller.listeners, seen.length]).toEqual([1, 1]);
		controller.abort();
		await loop;
		await services.stop("x");
		expect([controller.listeners, await changes.next()]).toEqual([0, { value: undefined, done: true }]);
		expect(await services.watch({ signal: controller.signal }).next()).toEqual({ value: undefined, done: true });
		const other = new SpiedController();
		for await (const _ of services.watch({ signal: other.signal })) break;
		expect([other.added, other.listeners]).toEqual([1, 0]);
		expect(() => services.watch({ signal: {} as never })).toThrow(TypeError);
	});

	test("resumes with the addition of a service that changed before anybody was told of it", async () => {
		const { services } = bench();
		for (const id of ["x", "y"]) await services.create({ id, kind: "a" });
		await services.stop("x");
		const changes = services.watch();
		const first = (await changes.next()).value!;
		const rest = await drain(services.watch({ since: first.revision }), 1);
		await changes.return!();
		expect([brief(first), ...rest].map((text) => text.slice(0, 7)).sort()).toEqual(["added x", "added y"]);
	});

	test("resumes after a revision, with what was removed since", async () => {
		const { services } = bench();
		for (const id of ["v", "w", "x", "y"]) await services.create({ id, kind: "a" });
		const changes = services.watch();
		await changes.next();
		const { revision } = (await changes.next()).value!; // v and w are known
		await services.stop("v");
		await services.delete("w");
		await services.delete("x");
		await services.create({ id: "x", kind: "a" });
		const resumed = services.watch({ since: revision });
		const seen = await drain(resumed, 5);
		expect(seen).toEqual([
			"added y active",
			"updated v inactive",
			"removed w inactive",
			"removed x inactive",
			"added x active",
		]);
		const latest = services.watch({ since: services.revision });
		const next = watch(latest.next());
		await settle();
		expect(next.state).toBe("pending");
		await changes.return!();
		await resumed.return!();
		await latest.return!();
	});

	test("tells nobody a revision before all up to it was told", async () => {
		const { services } = bench();
		for (const id of ["x", "y"]) await services.create({ id, kind: "a" });
		const changes = services.watch();
		await drain(changes, 2);
		await services.stop("x"); // 3
		await services.stop("y"); // 4
		await services.start("x"); // 5, reported before 4
		expect(await changes.next()).toMatchObject({ value: { id: "x", state: "active", revision: 3 } });
		expect(await changes.next()).toMatchObject({ value: { id: "y", state: "inactive", revision: 5 } });
		await changes.return!();
	});

	test("remembers 1,000 services that were removed, and refuses to begin before those", async () => {
		const services = new Services({ kinds: { a: () => fake() } });
		for (let i = 0; i < 1_001; i++) {
			await services.create({ id: `${i}`, kind: "a" });
			await services.delete(`${i}`);
		}
		expect([0, 1, 2, services.revision, services.revision + 1].map((n) => services.remembers(n)))
			.toEqual([true, false, true, true, false]);
		const resumed = services.watch({ since: 2 });
		expect(await drain(resumed, 1)).toEqual(["removed 1 active"]);
		await resumed.return!();
		expect(() => services.watch({ since: "2" as never })).toThrow(TypeError);
		for (const since of [1, -1, 99_999, NaN]) {
			expect(await errorOf(services.watch({ since }).next())).toMatchObject({ name: "RangeError" });
		}
	});

	test("does not hold up a service, whoever is slow or throws", async () => {
		const onError = vi.fn();
		const { services } = bench({ onError });
		services.subscribe(() => {
			throw new Error("subscriber");
		});
		const changes = services.watch();
		changes.next();
		await services.create({ id: "x", kind: "a" });
		expect(services.get("x")!.state).toBe("active");
		expect(onError).toHaveBeenCalledTimes(1);
		await changes.return!();
	});

	test("shows what changes inside a change once, with the last state", async () => {
		const { services, made } = bench();
		await services.create({ id: "x", kind: "a" });
		const changes = services.watch();
		await changes.next();
		const unsubscribe = services.subscribe(() => {
			unsubscribe();
			made[0]!.start();
		});
		await services.stop("x");
		expect(await drain(changes, 1)).toEqual(["updated x active"]);
		const next = watch(changes.next());
		await settle();
		expect(next.state).toBe("pending");
		await changes.return!();
	});
});

test("a Service is whatever has its members, such as one without a Lifecycle", async () => {
	const listeners = new Set<() => void>();
	let snapshot: LifecycleSnapshot = { state: "inactive", error: undefined };
	const change = (state: LifecycleSnapshot["state"]) => {
		snapshot = { state, error: undefined };
		for (const listener of listeners) listener();
	};
	const service: Service = {
		start: () => change("active"),
		stop: () => change("inactive"),
		configure: () => {},
		subscribe: (listener) => {
			listeners.add(listener);
			return () => void listeners.delete(listener);
		},
		getSnapshot: () => snapshot,
	};
	const services = new Services({ kinds: { a: () => service }, ids: "kind" });
	await services.create({ kind: "a" });
	expect([...services.states()]).toEqual([["a", "active"]]);
	expect(listeners.size).toBe(1);
	await services.delete("a");
	expect([listeners.size, snapshot.state]).toEqual([0, "inactive"]);
});

describe("Services at each microtask", () => {
	type Registry = ReturnType<typeof bench>["services"];
	const events: Record<string, (services: Registry) => Promise<unknown>> = {
		"a delete()": (services) => services.delete("x"),
		"a stop()": (services) => services.stop("x"),
		"a stop() of all": (services) => services.stop(),
		"a stop() and a start()": (services) => Promise.all([services.stop("x"), services.start("x")]),
		"a delete() and a create()": (services) =>
			Promise.all([services.delete("x"), services.create({ id: "x", kind: "a", config: { n: "other" } })]),
		"a configure()": (services) => services.configure("x", { n: "newest" }),
		"a configure() with unreadable data": (services) => services.configure("x", "{"),
	};
	const calls: Record<string, (services: Registry) => Promise<unknown>> = {
		"create()": (services) => services.create({ id: "x", kind: "a", config: { n: "first" } }),
		"configure()": (services) => services.configure("x", { n: "second" }),
		"start()": (services) => services.start("x"),
		"stop()": (services) => services.stop("x"),
		"delete()": (services) => services.delete("x"),
	};

	for (const [title, act] of Object.entries(events)) {
		for (const [name, call] of Object.entries(calls)) {
			test(`${title} during ${name} leaves what the registry says, and nothing else that runs`, async () => {
				await atEachMicrotask(30, async (k) => {
					let [running, most] = [0, 0];
					const signals = new Map<AbortSignal, string>();
					const errors: unknown[] = [];
					const a = () =>
						new Lifecycle(async ({ n }: { n: string }, { signal }) => {
							most = Math.max(most, ++running);
							signals.set(signal, n);
							await undefined;
							running--;
						});
					const services = new Services({ kinds: { a }, onError: (error) => void errors.push(error) });
					if (name !== "create()") {
						await services.create({ id: "x", kind: "a", config: { n: "first" }, active: name !== "start()" });
					}
					const called = call(services).catch((error) => error);
					const acted = new Promise((resolve) =>
						afterMicrotasks(k, () => resolve(act(services).catch((error) => error)))
					);
					for (const outcome of await Promise.all([called, acted])) {
						const { name } = Object(outcome);
						if (!(outcome instanceof Error)) continue;
						const known = [
							"AbortError",
							"InvalidStateError",
							"InvalidConfigError",
							"ServiceNotFoundError",
							"NameInUseError",
						];
						expect(known).toContain(name);
					}
					const live = [...signals].filter(([{ aborted }]) => !aborted).map(([, n]) => n);
					const state = services.get("x")?.state;
					expect([most <= 1, running, errors]).toEqual([true, 0, []]);
					// An active service runs its own configuration, and only active services run.
					expect(live.length).toBe(state === "active" ? 1 : 0);
					if (title === "a configure()" && name === "configure()") expect(live).toEqual(["newest"]);
					if (title === "a configure() with unreadable data" && name === "configure()") {
						expect(live).toEqual(["second"]);
					}
					if (title === "a stop() and a start()" && name === "configure()") expect(live).toEqual(["second"]);
					if (title === "a stop() of all") expect(state ?? "inactive").toBe("inactive");
					await services.stop();
					await services.delete("x");
					expect([services.list(), [...signals.keys()].every(({ aborted }) => aborted)]).toEqual([[], true]);
				});
			});
		}
	}
});

describe("Services re-entered", () => {
	type Registry = ReturnType<typeof bench>["services"];
	const actions: Record<string, (services: Registry) => unknown> = {
		"create()": (services) => services.create({ id: "new", kind: "a", config: {} }),
		"create() of the same id": (services) => services.create({ id: "x", kind: "a", config: {} }),
		"delete()": (services) => services.delete("x"),
		"start()": (services) => services.start("x"),
		"stop()": (services) => services.stop("x"),
		"stop() of all": (services) => services.stop(),
		"stop() and start()": (services) => [services.stop("x"), services.start("x")],
		"configure()": (services) => services.configure("x", { inner: true }),
		"list(), states(), getSnapshot() and get()": (services) =>
			[
				services.list(),
				services.states(),
				services.getSnapshot(),
				services.get("x"),
			].slice(4),
	};

	for (const [title, act] of Object.entries(actions)) {
		test(`${title} from each callback, at each of its calls, breaks no law`, async () => {
			await atEachCall(async (reentry) => {
				const running = new Map<string, number>();
				let most = 0;
				const signals: AbortSignal[] = [];
				const calls: Promise<unknown>[] = [];
				const call = (value: unknown) => {
					for (const one of [value].flat()) calls.push(Promise.resolve(one).catch((error) => error));
				};
				const services: Registry = new Services({
					kinds: {
						a: (id) => {
							reentry.enter();
							return new Lifecycle(async (config: Config, { signal }) => {
								running.set(id, (running.get(id) ?? 0) + 1);
								most = Math.max(most, running.get(id)!);
								signals.push(signal);
								signal.addEventListener("abort", reentry.enter);
								reentry.enter();
								await undefined;
								running.set(id, running.get(id)! - 1);
								if (config.fails) throw new Error("failure");
							}, {
								readConfig: (data) => {
									reentry.enter();
									return data as Config;
								},
							});
						},
					},
					ids: () => {
						reentry.enter();
						return "made";
					},
					onError: reentry.enter,
				});
				reentry.act = () => call(act(services));
				services.subscribe(reentry.enter);
				const seen = new Map<string, string>();
				const changes = services.watch();
				const watched = (async () => {
					for await (const { type, id, state } of changes) {
						if (type === "removed") expect(seen.delete(id)).toBe(true);
						else {
							expect(seen.has(id)).toBe(type === "updated");
							seen.set(id, state);
						}
					}
				})();
				const steps: (() => Promise<unknown>)[] = [
					() => services.create({ id: "x", kind: "a", config: {} }),
					() => services.create({ kind: "a" }),
					() => services.create({ id: "y", kind: "a", config: { fails: true } }),
					() => services.configure("x", { fails: true }),
					() => services.stop("x"),
					() => services.start("x"),
					() => services.delete("made"),
					() => services.configure("x", {}),
				];
				for (const step of steps) await step().catch(() => {});
				await Promise.all(calls);
				await settle();
				expect([...seen]).toEqual(expect.arrayContaining([...services.states()]));
				expect(seen.size).toBe(services.list().length);
				await services.stop();
				await Promise.all(calls);
				await services.stop();
				for (const { id } of services.list()) await services.delete(id);
				await Promise.all(calls);
				await services.stop();
				for (const { id } of services.list()) await services.delete(id);
				await changes.return!();
				await watched;
				expect([most <= 1, [...running.values()].every((count) => count === 0), services.list()]).toEqual([
					true,
					true,
					[],
				]);
				expect(signals.every(({ aborted }) => aborted)).toBe(true);
			});
		});
	}
});
