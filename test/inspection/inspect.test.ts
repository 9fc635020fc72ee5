import { describe, expect, test, vi } from "vitest";
import { Basket, every, job, memoryStore, Processor, stopNow } from "../../mod.ts";
import { inspect, type InspectOptions } from "../../src/inspection/inspection.ts";
import type { Store } from "../../src/store.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { errorOf, isNode, watch } from "../support.ts";

interface Mail {
	readonly to: string;
}

/** Counts what is read of tasks. */
function counting(store: Store<never>) {
	const read = { tasks: 0, calls: 0 };
	const counted: Store<never> = {
		...bound(store),
		async list(basket, query) {
			const tasks = await store.list(basket, query);
			read.tasks += tasks.length;
			read.calls++;
			return tasks;
		},
	};
	return { store: counted, read };
}

function bound(store: Store<never>): Store<never> {
	return new Proxy(store, {
		get: (target, name) => {
			const value = Reflect.get(target, name);
			return typeof value === "function" ? value.bind(target) : value;
		},
		ownKeys: (target) => [...new Set([...Reflect.ownKeys(target), ...Reflect.ownKeys(Object.getPrototypeOf(target))])],
		getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
	});
}

function bench(options: InspectOptions = {}, given?: (store: Store<never>) => Store<never>) {
	const clock = new VirtualClock({ now: 1_000_000_000 });
	const plain = memoryStore({ clock });
	const store = given?.(plain) ?? plain;
	const outbox = new Basket({
		store,
		clock,
		backoff: { start: 60_000, jitter: "none" },
		tasks: {
			mail: ({ to }: Mail) => {
				if (to === "nobody") throw stopNow(new Error("no such user"));
				if (to === "later") throw new Error("the server is away");
				return { sent: to };
			},
			ping: () => {},
		},
		retain: 60_000,
		worker: "worker-1",
	});
	const trip = job<{ user: string }>("trip")
		.step("flight", { run: () => ({ seat: 4 }), revert: () => {} })
		.waitFor<"approval", boolean>("approval")
		.step("mail", {
			run: () => {
				throw stopNow(new Error("no paper"));
			},
		});
	const processor = new Processor({ store, clock, jobs: [trip] });
	const inspection = inspect({ outbox, processor }, { clock, ...options });
	const drain = async () => {
		for (const one of [outbox, processor]) {
			const draining = watch(one.drain());
			while (draining.state === "pending") await clock.advance(0);
		}
	};
	return { clock, store, outbox, processor, trip, inspection, drain };
}

describe("inspect()", () => {
	test("overview: counts, what is paused, kinds, schedules, what waits longest, and what is allowed", async () => {
		const { inspection, outbox, processor, trip, drain } = bench();
		await outbox.add("mail", { to: "nobody" });
		await drain();
		await outbox.add("mail", { to: "ada" }, { id: "first", delay: 5_000 });
		await outbox.add("mail", { to: "bob" });
		await outbox.schedule("pulse", "ping", undefined, { every: every(30_000) });
		await outbox.pause({ stored: true, kind: "report" });
		await processor.add(trip, { user: "ada" });
		const { sources, actions, at } = await inspection.overview();
		expect([at, actions.length]).toEqual([1_000_000_000, 10]);
		expect(sources).toMatchObject([
			{
				source: "outbox",
				name: "default",
				counts: { waiting: 3, running: 0, held: 0, dead: 1, done: 0 },
				activity: { state: "stopped", running: 0 },
				oldestWaiting: { id: "first", addedAt: 1_000_000_000, dueAt: 1_000_005_000 },
				pauses: { all: false, kinds: ["report"] },
				kinds: ["mail", "ping", "report"],
				schedules: [{
					id: "schedule:pulse",
					name: "pulse",
					kind: "ping",
					text: "30000",
					next: 1_000_030_000,
					state: "waiting",
				}],
				samples: [],
			},
			{ source: "processor", name: "jobs", counts: { waiting: 1 }, kinds: ["trip"], schedules: [] },
		]);
		expect(JSON.parse(JSON.stringify(sources))).toBeDefined();
	});

	test("a task with its payload, error, attempts, worker, result, meta and the tasks before it in its lane", async () => {
		const { inspection, outbox, drain } = bench();
		await outbox.add("mail", { to: "later" }, { id: "a", lane: "ada", meta: { trace: "1" } });
		await outbox.add("mail", { to: "ada" }, { id: "b", lane: "ada" });
		await outbox.add("mail", { to: "ada" }, { id: "c", lane: "ada" });
		await outbox.add("mail", { to: "ada" }, { id: "d" });
		await drain();
		expect(await inspection.get("a")).toMatchObject({
			...{ source: "outbox", id: "a", kind: "mail", state: "waiting", preview: '{"to":"later"}', attempts: 1 },
			payload: { value: { to: "later" }, isCut: false },
			error: { name: "Error", message: "the server is away" },
			meta: { trace: "1" },
			history: [{ attempt: 1, startedAt: 1_000_000_000, worker: "worker-1", error: { message: "the server is away" } }],
			ahead: { count: 0, isMore: false },
		});
		const listed = (await inspection.list({ prefix: "a" })).items[0]!;
		expect([listed.error, typeof (await inspection.get("a"))!.error!.stack]).toEqual([
			{ name: "Error", message: "the server is away", code: undefined },
			"string",
		]);
		expect((await inspection.get("c"))!.ahead).toEqual({ count: 2, isMore: false, head: "a" });
		expect(await inspection.get("d")).toMatchObject({ state: "done", result: { value: { sent: "ada" } } });
		expect(await inspection.get("none")).toBe(undefined);
		expect(await inspection.get("a", "processor")).toBe(undefined);
	});

	test("a job with its steps, attempts and children", async () => {
		const { inspection, processor, trip, drain } = bench();
		const { id } = await processor.add(trip, { user: "ada" }, { id: "trip-1" });
		await drain();
		const detail = (await inspection.get(id, "processor"))!;
		expect(detail).toMatchObject({
			...{ source: "processor", kind: "trip", state: "waiting", preview: '{"user":"ada"}' },
			job: { direction: "forward", step: "approval" },
			payload: { value: { user: "ada" } },
			steps: [
				{ name: "flight", state: "done", result: { value: { seat: 4 } } },
				{ name: "approval", type: "waitFor", state: "current" },
				{ name: "mail", state: "pending" },
			],
			history: [{ step: "flight", attempt: 1, isRevert: false }],
		});
		expect(await inspection.act({ type: "signal", id, name: "approval", value: true })).toEqual({ changed: 1 });
		await drain();
		const ended = (await inspection.list({ source: "processor", status: "reverted" })).items;
		expect(ended).toMatchObject([{ id, state: "done", job: { status: "reverted" }, error: { message: "no paper" } }]);
		expect((await inspection.list({ source: "processor", status: "completed" })).items).toEqual([]);
	});

	test("pages follow each other in both orders, with each filter", async () => {
		const { inspection, outbox } = bench();
		const entries = Array.from({ length: 25 }, (_, index) => index);
		for (const index of entries) {
			await outbox.add("mail", { to: `user ${index}` }, {
				id: `m-${index}`,
				...(index % 5 === 0 ? { lane: "five" } : {}),
			});
		}
		for (const order of ["oldest", "newest"] as const) {
			const ids: string[] = [];
			for (let after: string | undefined, isOver = false; !isOver;) {
				const { items, next } = await inspection.list({ order, limit: 10, after });
				ids.push(...items.map(({ id }) => id));
				[after, isOver] = [next, next === undefined];
			}
			const all = entries.map((index) => `m-${index}`);
			expect(ids).toEqual(order === "oldest" ? all : all.reverse());
		}
		const idsOf = async (query: object) =>
			(await inspection.list({ order: "oldest", ...query })).items.map(({ id }) => id);
		expect(await idsOf({ lane: "five" })).toEqual(["m-0", "m-5", "m-10", "m-15", "m-20"]);
		expect(await idsOf({ prefix: "m-2" })).toEqual(["m-2", "m-20", "m-21", "m-22", "m-23", "m-24"]);
		expect(await idsOf({ text: "USER 7" })).toEqual(["m-7"]);
		expect(await idsOf({ state: "dead" })).toEqual([]);
		expect(await idsOf({ kind: "ping" })).toEqual([]);
		expect((await inspection.list({ limit: 25 })).next).toBe(undefined);
	});

	test("an id that the store has made is found as a prefix", async () => {
		const { inspection, outbox } = bench();
		const { id } = await outbox.add("mail", { to: "ada" });
		expect((await inspection.list({ prefix: id })).items.map((task) => task.id)).toEqual([id]);
		expect((await inspection.list({ prefix: id, state: "dead" })).items).toEqual([]);
		expect((await inspection.list({ prefix: "_none" })).items).toEqual([]);
	});

	test("of 100,000 tasks it reads only what it shows, and at most 1,000 for a text", async () => {
		let read!: ReturnType<typeof counting>["read"];
		const { inspection, outbox } = bench({}, (store) => {
			const counted = counting(store);
			read = counted.read;
			return counted.store;
		});
		const size = isNode ? 100_000 : 10_000;
		await outbox.addMany(
			Array.from(
				{ length: size },
				(_, index) => ({ kind: "mail" as const, payload: { to: `${index}` }, id: `${index}` }),
			),
		);
		const readBy = async (action: () => Promise<unknown>) => {
			const before = read.tasks;
			await action();
			return read.tasks - before;
		};
		const { next, items } = await inspection.list({ limit: 50 });
		expect(items[0]!.id).toBe(`${size - 1}`);
		expect(await readBy(() => inspection.list({ limit: 50, after: next }))).toBe(51);
		expect(await readBy(() => inspection.list({ text: "nowhere" }))).toBeLessThanOrEqual(1_001);
		const scanned = await inspection.list({ text: "nowhere" });
		expect([scanned.items, typeof scanned.next]).toEqual([[], "string"]);
		await inspection.overview();
		expect(await readBy(() => inspection.overview())).toBeLessThanOrEqual(10);
		expect(await readBy(() => inspection.get("5000"))).toBe(0);
	});

	test("the lane of a task far behind is looked at only as far as it is shown", async () => {
		const { inspection, outbox } = bench();
		const payload = { to: "ada" };
		await outbox.addMany(
			Array.from({ length: 300 }, (_, index) => ({ kind: "mail" as const, payload, id: `${index}`, lane: "l" })),
		);
		expect((await inspection.get("299"))!.ahead).toEqual({ count: 100, isMore: true, head: "0" });
	});
});

describe("Inspection.act()", () => {
	test("changes tasks", async () => {
		const { inspection, outbox, drain } = bench();
		await outbox.add("mail", { to: "nobody" }, { id: "dead" });
		await outbox.add("mail", { to: "nobody" }, { id: "dead-2" });
		await drain();
		await outbox.add("mail", { to: "ada" }, { id: "waits", delay: 1_000 });
		const stateOf = async (id: string) => (await outbox.get(id))?.state;
		expect(await inspection.act({ type: "retry", id: "dead" })).toEqual({ changed: 1 });
		expect(await stateOf("dead")).toBe("waiting");
		expect(await inspection.act({ type: "retryAll", prefix: "dead-" })).toEqual({ changed: 1 });
		expect(await inspection.act({ type: "hold", id: "waits" })).toEqual({ changed: 1 });
		expect(await inspection.act({ type: "hold", id: "waits" })).toEqual({ changed: 0 });
		expect(await inspection.act({ type: "runNow", id: "waits" })).toEqual({ changed: 0 });
		expect(await inspection.act({ type: "release", id: "waits" })).toEqual({ changed: 1 });
		expect(await inspection.act({ type: "runNow", id: "waits" })).toEqual({ changed: 1 });
		expect(await inspection.act({ type: "delete", id: "waits" })).toEqual({ changed: 1 });
		expect(await stateOf("waits")).toBe(undefined);
		expect(await inspection.act({ type: "pause", kind: "mail" })).toEqual({ changed: 1 });
		expect(await outbox.pauses()).toEqual({ all: false, kinds: ["mail"] });
		expect(await inspection.act({ type: "resume", kind: "mail" })).toEqual({ changed: 1 });
		expect(await inspection.act({ type: "pause" })).toEqual({ changed: 1 });
		expect((await outbox.pauses()).all).toBe(true);
	});

	test("never removes a half-done job without a word", async () => {
		const { inspection, processor, trip, drain } = bench();
		await processor.add(trip, { user: "ada" }, { id: "fresh" });
		expect(await inspection.act({ type: "delete", source: "processor", id: "fresh" })).toEqual({ changed: 1 });
		await processor.add(trip, { user: "ada" }, { id: "begun" });
		await drain();
		const refused = await errorOf(inspection.act({ type: "delete", source: "processor", id: "begun" }));
		expect(refused).toMatchObject({ name: "InvalidStateError", message: expect.stringContaining('"begun"') });
		expect(await inspection.act({ type: "cancel", id: "begun" })).toEqual({ changed: 1 });
		await drain();
		expect((await processor.get("begun"))!.status).toBe("reverted");
		expect(await inspection.act({ type: "delete", source: "processor", id: "begun" })).toEqual({ changed: 1 });
		await processor.add(trip, { user: "ada" }, { id: "other" });
		await drain();
		const half = { type: "delete", source: "processor", id: "other", halfDone: true } as const;
		expect(await inspection.act(half)).toEqual({ changed: 1 });
	});

	test("does only what is allowed", async () => {
		const { inspection, outbox } = bench({ actions: ["hold", "cancel"] });
		await outbox.add("mail", { to: "ada" }, { id: "a" });
		expect((await inspection.overview()).actions).toEqual(["hold", "cancel"]);
		expect(await errorOf(inspection.act({ type: "delete", id: "a" }))).toMatchObject({ name: "NotAllowedError" });
		expect((await outbox.get("a"))!.state).toBe("waiting");
		const { outbox: alone } = bench();
		expect((await inspect({ outbox: alone }).overview()).actions).not.toContain("cancel");
	});

	test("a value that does not fit names itself", async () => {
		const { inspection } = bench();
		const wrong: [object, RegExp][] = [
			[{}, /"type"/],
			[{ type: "drop" }, /"type"/],
			[{ type: "constructor" }, /"type"/],
			[{ type: "retry" }, /"id"/],
			[{ type: "retry", id: "" }, /"id"/],
			[{ type: "retry", id: "x".repeat(10_000) }, /"id"/],
			[{ type: "retry", id: "a\0b" }, /"id"/],
			[{ type: "retry", id: "a", from: "failure" }, /"from"/],
			[{ type: "retry", id: "a", source: "processor", from: "middle" }, /"from"/],
			[{ type: "hold", id: "a", source: "other" }, /"source"/],
			[{ type: "hold", id: "a", knid: 1 }, /knid/],
			[{ type: "delete", id: "a", halfDone: "yes" }, /"halfDone"/],
			[{ type: "retryAll", kind: 5 }, /"kind"/],
			[{ type: "signal", id: "a" }, /"name"/],
			[{ type: "cancel", id: 7 }, /"id"/],
		];
		for (const [action, message] of wrong) {
			expect(await errorOf(inspection.act(action as never))).toMatchObject({ message: expect.stringMatching(message) });
		}
		const queries: [object, RegExp][] = [
			[{ state: "bogus" }, /"state"/],
			[{ status: "done" }, /"status"/],
			[{ limit: 0 }, /"limit"/],
			[{ limit: 101 }, /"limit"/],
			[{ limit: "5" }, /"limit"/],
			[{ order: "up" }, /"order"/],
			[{ text: "x".repeat(300) }, /"text"/],
			[{ stat: "dead" }, /stat/],
		];
		for (const [query, message] of queries) {
			expect(await errorOf(inspection.list(query as never))).toMatchObject({ message: expect.stringMatching(message) });
		}
	});
});

describe("redact", () => {
	const secret = /secret/;

	test("is what leaves: payload, result, meta, progress, error, attempts, and steps of jobs", async () => {
		const redact: InspectOptions["redact"] = ({ source }) => ({ payload: { of: source } });
		const { inspection, outbox, processor, trip, drain } = bench({ redact });
		await outbox.add("mail", { to: "secret" }, { id: "a", meta: { trace: "secret" } });
		await outbox.add("mail", { to: "later" }, { id: "b" });
		await processor.add(trip, { user: "secret" }, { id: "t" });
		await drain();
		const shown = [await inspection.get("a"), await inspection.get("b"), await inspection.get("t", "processor")];
		const lists = [
			await inspection.list(),
			await inspection.list({ source: "processor" }),
			await inspection.overview(),
		];
		expect(JSON.stringify([shown, lists])).not.toMatch(/secret|the server is away|seat/);
		expect(shown[0]).toMatchObject({
			payload: { value: { of: "outbox" } },
			preview: '{"of":"outbox"}',
			meta: {},
			history: [],
		});
		expect(shown[0]!.result).toBe(undefined);
		expect(shown[2]!.steps![0]).toEqual({ name: "flight", type: "step", state: "done" });
		expect((await inspection.list({ text: "secret" })).items).toEqual([]);
	});

	test("that throws or returns nothing withholds everything, and is reported", async () => {
		const failure = new Error("of redact");
		const faults = [
			() => {
				throw failure;
			},
			() => undefined,
			() => Promise.resolve({ payload: "secret" }),
			() => "secret",
			() => ({ meta: "secret" }),
			() => ({
				get payload() {
					throw failure;
				},
			}),
		];
		for (const redact of faults) {
			const onError = vi.fn();
			const { inspection, outbox } = bench({ redact: redact as never, onError });
			await outbox.add("mail", { to: "secret" }, { id: "a", meta: { trace: "secret" } });
			const shown = (await inspection.get("a"))!;
			expect([shown.isWithheld, shown.payload, shown.preview, shown.meta]).toEqual([true, undefined, "", {}]);
			expect(JSON.stringify(shown)).not.toMatch(secret);
			expect(onError.mock.calls.length).toBe(1);
		}
	});

	test("sees each error as error: of attempts, steps and reverts, whatever the last one is", async () => {
		const redacts: NonNullable<InspectOptions["redact"]>[] = [
			({ error: _, ...task }) => task,
			({ error, ...task }) => ({ ...task, error: error && { ...error, message: "withheld", stack: "" } }),
			({ error, ...task }) => ({ ...task, error: /secret/.test(error?.message ?? "") ? undefined : error }),
			({ error, ...task }) => {
				if (secret.test(error?.message ?? "")) throw new Error("of redact");
				return { ...task, error };
			},
			({ error, ...task }) => {
				if (error !== undefined) Object.assign(error, { message: error.message.replace("secret", "…"), stack: "" });
				return { ...task, error };
			},
		];
		const messages = ["secret", "plain"];
		for (const redact of [undefined, ...redacts]) {
			for (const [first, second] of [messages, messages.toReversed()] as [string, string][]) {
				const clock = new VirtualClock();
				const store = memoryStore({ clock });
				const fails = job("fails")
					.step("one", { run: () => {}, revert: () => Promise.reject(stopNow(new Error(first))) })
					.step("two", { run: () => Promise.reject(stopNow(new Error(second))) });
				const again = job("again").step("one", { run: () => Promise.reject(new Error(first)), attempts: 2 });
				const processor = new Processor({
					store,
					clock,
					jobs: [fails, again],
					backoff: { start: 60_000 },
					retain: 1e9,
				});
				let calls = 0;
				const tasks = {
					mail: () => {
						if (calls++ < 2) throw new Error([first, second][calls - 1]);
					},
				};
				const outbox = new Basket({ store, clock, tasks, backoff: { start: 1, jitter: "none" }, retain: 1e9 });
				await processor.add(fails, undefined, { id: "fails" });
				await processor.add(again, undefined, { id: "again" });
				await outbox.add("mail", undefined, { id: "mail" });
				for (const one of [processor, outbox, outbox, outbox]) {
					const draining = watch(one.drain());
					do await clock.advance(1); while (draining.state === "pending");
				}
				const inspection = inspect({ outbox, processor }, { redact, clock, onError: () => {} });
				const ids = [["fails", "processor"], ["again", "processor"], ["mail", "outbox"]] as const;
				const details = await Promise.all(ids.map(async ([id, source]) => (await inspection.get(id, source))!));
				if (redact === undefined) expect(details.every(({ history }) => history.length > 0)).toBe(true);
				const lists = [await inspection.list({ source: "processor" }), await inspection.list()];
				expect(secret.test(JSON.stringify([details, lists]))).toBe(redact === undefined);
			}
		}
	});

	test("may return what is no text: it is shown as text, and the list stays", async () => {
		const odd = { name: 5n, message: { toString: () => "odd" }, code: {}, stack: 5 };
		const redact = () => ({ error: odd, progress: { value: 5n } });
		const { inspection, outbox } = bench({ redact: redact as never });
		await outbox.add("mail", { to: "ada" }, { id: "a" });
		const page = await inspection.list({ text: "odd" });
		expect(JSON.parse(JSON.stringify(page)).items).toMatchObject([{ id: "a", error: { name: "5", message: "odd" } }]);
		expect(JSON.stringify(await inspection.get("a"))).toContain('"value":5');
	});
});
