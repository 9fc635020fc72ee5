// Tests that the store suite finds faults: each of these stores has one. Three engines are sufficient, because the
// tests check the suite and not an engine.
import { describe, expect, test } from "vitest";
import { memoryStore, type Store } from "../../../../mod.ts";
import type { Claim, NewTask, Turn, TurnResult } from "../../../../src/store.ts";
import { type StoreFixture, testStore, VirtualClock } from "../../../../src/testing/testing.ts";
import { errorOf } from "../../../support.ts";

interface Registered {
	readonly title: string;
	readonly body: () => Promise<void>;
}

/** Returns the tests that `testStore` registers for a fixture. */
function collect(
	open: () => StoreFixture<never>,
	without: readonly ("tx" | "shared" | "watch")[] = ["tx", "shared"],
	seed = 1,
): Registered[] {
	const tests: Registered[] = [];
	testStore("store", async () => open(), {
		test: (title, body) => tests.push({ title, body }),
		without,
		seed,
	});
	return tests;
}

/** Returns the titles of the failed tests. */
async function failures(tests: readonly Registered[]): Promise<string[]> {
	const results = await Promise.allSettled(tests.map(({ body }) => body()));
	return tests.filter((_, index) => results[index]!.status === "rejected").map(({ title }) => title);
}

/** Returns the title of a failed test, if there is one. Long tests run last. */
async function firstFailure(tests: readonly Registered[]): Promise<string | undefined> {
	const isLong = ({ title }: Registered) => /more than fits|however many|as large ones|exactly|model/.test(title);
	for (const { title, body } of [...tests.filter((test) => !isLong(test)), ...tests.filter(isLong)]) {
		if (await body().then(() => false, () => true)) return title;
	}
}

/** Creates a memory store in virtual time with some replaced members. */
function fixture(change: Mutation = () => ({})): StoreFixture<never> {
	const clock = new VirtualClock({ now: 1_700_000_000_000 });
	const store = memoryStore({ clock });
	return {
		store: withMembers(store, change(store, clock)),
		advance: (duration: number) => clock.advance(duration),
		close() {},
	};
}

type Mutation = (store: Store<never>, clock: VirtualClock) => Partial<Store<never>>;

function withMembers(store: Store<never>, members: Partial<Store<never>>): Store<never> {
	return new Proxy(store, {
		get(target, name) {
			const value = (name in members ? members : target)[name as keyof Store];
			if (typeof value !== "function") return value;
			// Calls with transactions use the real store, so that a fault is not found only because transactions fail.
			const isRefused = (name === "add" || name === "save") && name in members;
			return (...values: unknown[]) =>
				Reflect.apply(isRefused && values[2] !== undefined ? target[name as "add"] : value, target, values);
		},
	});
}

/** Changes the request or the result of a turn. */
function turning(
	before: (turn: Turn) => Turn,
	after: (result: TurnResult) => TurnResult = (result) => result,
): Mutation {
	return (store) => ({ turn: async (basket, turn) => after(await store.turn(basket, before(turn))) });
}

function adding(change: (task: NewTask) => NewTask): Mutation {
	return (store) => ({ add: (basket, tasks) => store.add(basket, tasks.map(change)) });
}

function changeClaims(change: (claims: readonly Claim[]) => readonly Claim[]): Mutation {
	return turning((turn) => turn, (result) => ({ ...result, claims: change(result.claims) }));
}

function changeDueIn(change: (dueIn: number) => number): Mutation {
	return turning((turn) => turn, (result) => ({ ...result, dueIn: change(result.dueIn) }));
}

function changeOutcomes(change: (outcome: Turn["settle"][number]["outcome"]) => typeof outcome): Mutation {
	return turning((turn) => ({
		...turn,
		settle: turn.settle.map(({ ref, outcome }) => ({ ref, outcome: change(outcome) })),
	}));
}

/** The faults of stores. */
const mutations: Record<string, Mutation> = {
	"writes under lost claims": (store) => {
		const tokens = new Map<string, string>();
		const current = <T extends { id: string; token: string }>(ref: T) => ({ ...ref, token: tokens.get(ref.id) ?? "" });
		return {
			async turn(basket, { settle, claim, lease }) {
				const refreshed = settle.map(({ ref, outcome }) => ({ ref: current(ref), outcome }));
				const result = await store.turn(basket, { settle: refreshed, claim, lease });
				for (const { id, token } of result.claims) tokens.set(id, token);
				return result;
			},
		};
	},
	"extends lost claims": (store) => ({
		extend: async (basket, refs, lease) =>
			(await store.extend(basket, refs, lease)).map((answer) => answer === "lost" ? "ok" : answer),
	}),
	"saves under lost claims": (store) => {
		const tokens = new Map<string, string>();
		return {
			async turn(basket, turn) {
				const result = await store.turn(basket, turn);
				for (const { id, token } of result.claims) tokens.set(id, token);
				return result;
			},
			save: (basket, saves) =>
				store.save(basket, saves.map((save) => ({ ...save, ref: { ...save.ref, token: tokens.get(save.ref.id)! } }))),
		};
	},
	"reuses tokens": (store) => {
		const real = new Map<string, string>();
		return {
			async turn(basket, { settle, claim, lease }) {
				const refs = settle.map(({ ref, outcome }) => ({ ref: { ...ref, token: real.get(ref.id) ?? "" }, outcome }));
				const result = await store.turn(basket, { settle: refs, claim, lease });
				for (const { id, token } of result.claims) real.set(id, token);
				return { ...result, claims: result.claims.map((claim) => ({ ...claim, token: "1" })) };
			},
		};
	},
	"claims the newest first": changeClaims((claims) => [...claims].reverse()),
	"knows no priority": adding((task) => ({ ...task, priority: 0 })),
	"knows no delay": adding((task) => ({ ...task, delay: 0 })),
	"knows no lanes": adding((task) => ({ ...task, lane: undefined })),
	"has one lane for all that have one": adding((task) => ({ ...task, lane: task.lane && "lane" })),
	"ignores the limit": turning((turn) => ({
		...turn,
		claim: turn.claim.map(({ kinds }) => ({ kinds, limit: 1000 })),
	})),
	"knows no runs": turning((turn) => ({ ...turn, runs: undefined })),
	"claims runs of any length": turning((turn) => ({
		...turn,
		runs: turn.runs?.map(({ kind }) => ({ kind, most: 1000 })),
	})),
	"gives followers back before it has settled all": (store) => ({
		async turn(basket, { settle, ...turn }) {
			const settled: boolean[] = [];
			for (const one of settle) {
				settled.push(...(await store.turn(basket, { ...turn, settle: [one], claim: [] })).settled);
			}
			return { ...await store.turn(basket, { ...turn, settle: [] }), settled };
		},
	}),
	"ignores the limit of the basket": turning((turn) => ({ ...turn, overall: undefined })),
	"serves one request only": turning((turn) => ({ ...turn, claim: turn.claim.slice(0, 1) })),
	"ignores kinds": (store) => ({
		async turn(basket, turn) {
			const kinds = [...new Set((await store.list(basket, { limit: 10_000 })).map(({ kind }) => kind)), "work"];
			return store.turn(basket, { ...turn, claim: turn.claim.map(({ limit }) => ({ kinds, limit })) });
		},
	}),
	"claims before it settles": (store) => ({
		async turn(basket, { settle, claim, lease }) {
			const { claims, dueIn } = await store.turn(basket, { settle: [], claim, lease });
			return { ...await store.turn(basket, { settle, claim: [], lease }), claims, dueIn };
		},
	}),
	"loses all or none": (store) => ({
		async add(basket, tasks) {
			const added = [];
			for (const task of tasks) {
				added.push(...await store.add(basket, [task]));
				await Promise.resolve();
			}
			return added;
		},
	}),
	"replaces a task whose id is in use": (store) => ({
		async add(basket, tasks) {
			await store.delete(basket, tasks.flatMap(({ id }) => id ?? []));
			return store.add(basket, tasks);
		},
	}),
	"says that all were added": (store) => ({
		add: async (basket, tasks) => (await store.add(basket, tasks)).map(({ id }) => ({ id, added: true })),
	}),
	"says no state of what was there": (store) => ({
		add: async (basket, tasks) => (await store.add(basket, tasks)).map(({ id, added }) => ({ id, added })),
	}),
	"makes an id of a caller's": (store) => {
		let count = 0;
		return { add: (basket, tasks) => store.add(basket, tasks.map((task) => ({ id: `id ${++count}`, ...task }))) };
	},
	"says that nothing is ever due": changeDueIn(() => Infinity),
	"says that something is always due": changeDueIn(() => 0),
	"knows only the delay of waiting tasks": changeDueIn((dueIn) => dueIn > 0 && dueIn < Infinity ? dueIn + 1000 : dueIn),
	"says that lost claims were settled": turning((turn) => turn, (result) => ({
		...result,
		settled: result.settled.map(() => true),
	})),
	"keeps no done task": changeOutcomes((outcome) => outcome.type === "done" ? { type: "done" } : outcome),
	"keeps done tasks for ever": changeOutcomes((outcome) =>
		outcome.type === "done" && outcome.retain ? { ...outcome, retain: 1e12 } : outcome
	),
	"loses the payload of a failure": changeOutcomes((outcome) =>
		outcome.type === "retry" ? { ...outcome, payload: undefined } : outcome
	),
	"takes a firm delay for a backoff": changeOutcomes((outcome) =>
		outcome.type === "retry" ? { ...outcome, backoff: true } : outcome
	),
	"takes a backoff for a firm delay": changeOutcomes((outcome) =>
		outcome.type === "retry" ? { ...outcome, backoff: false } : outcome
	),
	"knows backoffs of failures only": changeOutcomes((outcome) =>
		outcome.type === "later" ? { ...outcome, backoff: false } : outcome
	),
	"holds nothing that asks for it": changeOutcomes((outcome) =>
		outcome.type === "retry" ? { ...outcome, hold: false } : outcome
	),
	"overlooks a message that came meanwhile": changeOutcomes((outcome) =>
		outcome.type === "later" ? { ...outcome, seen: 1000 } : outcome
	),
	"takes no message away": changeOutcomes((outcome) => outcome.type === "later" ? { ...outcome, seen: 0 } : outcome),
	"forgets crashes on release": changeOutcomes((outcome) =>
		outcome.type === "release" ? { type: "later", delay: 0, seen: 0 } : outcome
	),
	"counts no crashes": changeClaims((claims) => claims.map((claim) => ({ ...claim, crashes: 0 }))),
	"gives no messages": changeClaims((claims) => claims.map((claim) => ({ ...claim, inbox: [] }))),
	"lets leases end at once": turning((turn) => ({ ...turn, lease: 1 })),
	"lets leases never end": turning((turn) => ({ ...turn, lease: 1e12 })),
	"never tells of messages": (store) => ({
		extend: async (basket, refs, lease) =>
			(await store.extend(basket, refs, lease)).map((answer) => answer === "posted" ? "ok" : answer),
	}),
	"gives its own bytes away": (store) => {
		const own = new Map<string, Uint8Array>();
		return {
			add(basket, tasks) {
				for (const { id, payload } of tasks) if (id && typeof payload !== "string") own.set(id, payload);
				return store.add(basket, tasks);
			},
			async get(basket, id) {
				const task = await store.get(basket, id);
				return task && { ...task, payload: own.get(id) ?? task.payload };
			},
		};
	},
	"makes text of bytes": adding(({ payload, ...task }) => ({ ...task, payload: `${payload}` })),
	"cuts text at its first zero": adding(({ payload, ...task }) => ({
		...task,
		payload: typeof payload === "string" ? payload.split("\0")[0]! : payload,
	})),
	"mixes baskets": (store) => ({ add: (_basket, tasks) => store.add("basket", tasks) }),
	"deletes but says no": (store) => ({
		delete: async (basket, ids) => (await store.delete(basket, ids)).map(() => false),
	}),
	"forgets nothing that is deleted": (store) => ({
		delete: async (basket, ids) => await Promise.all(ids.map(async (id) => await store.get(basket, id) !== undefined)),
	}),
	"lists from the beginning again": (store) => ({
		list: (basket, { after: _, ...query }) => store.list(basket, query),
	}),
	"ignores the state that is listed": (store) => ({
		list: (basket, { state: _, ...query }) => store.list(basket, query),
	}),
	"pages by position": (store) => ({
		async list(basket, { after = "0", limit, ...query }) {
			const all = await store.list(basket, { ...query, limit: 10_000 });
			const from = Number(after);
			return all.slice(from, from + limit).map((task, index) => ({ ...task, key: `${from + index + 1}` }));
		},
	}),
	"counts blocked tasks apart": (store) => ({
		counts: async (basket) => ({ ...await store.counts(basket), held: 0 }),
	}),
	"releases what it should retry": (store) => ({
		change: (basket, ids, change) => store.change(basket, ids, change === "retry" ? "release" : change),
	}),
	"holds nothing that is running": (store) => ({
		async change(basket, ids, change) {
			const tasks = await Promise.all(ids.map((id) => store.get(basket, id)));
			const idle = ids.filter((_, index) => tasks[index]?.state !== "running");
			const changed = await store.change(basket, idle, change);
			return ids.map((id) => changed[idle.indexOf(id)] ?? true);
		},
	}),
	"hastens everything that waits": (store) => ({
		async hasten(basket) {
			const waiting = await store.list(basket, { state: "waiting", limit: 10_000 });
			return (await store.change(basket, waiting.map(({ id }) => id), "retry")).length;
		},
	}),
	"hastens nothing": () => ({ hasten: async () => 0 }),
	"posts to dead tasks": (store) => ({ post: async (basket, id, data) => (await store.post(basket, id, data), true) }),
	"never says that there is news of claims": (store) => ({
		watch: (basket, wake, onError) => store.watch!(basket, () => wake(), onError),
	}),
	"says that there is news of claims whenever it wakes": (store) => ({
		watch: (basket, wake, onError) => store.watch!(basket, () => wake("claims"), onError),
	}),
	"wakes nobody": () => ({ watch: () => () => {} }),
	"wakes inside the call": (store) => {
		const wakes = new Set<() => void>();
		return {
			watch(_basket, wake) {
				wakes.add(wake);
				return () => void wakes.delete(wake);
			},
			add(basket, tasks) {
				for (const wake of wakes) wake();
				return store.add(basket, tasks);
			},
		};
	},
	"wakes those who have stopped": (store) => ({
		watch(basket, wake, onError) {
			store.watch!(basket, wake, onError);
			return () => {};
		},
	}),
	"makes new capabilities each time": (store) => ({
		get capabilities() {
			return { ...store.capabilities };
		},
	}),
	"pretends to have transactions": (store) => ({
		add: (basket, tasks) => store.add(basket, tasks),
		save: (basket, saves) => store.save(basket, saves),
		complete: async () => true,
	}),
	"has capabilities that the suite was not told of": (store) => ({ capabilities: { ...store.capabilities, tx: true } }),
};

describe("testStore()", () => {
	test("passes a store that does as it should, in virtual time", async () => {
		expect(await failures(collect(fixture))).toEqual([]);
	});

	test("passes a store that does as it should, in real time", async () => {
		// All tests run at once, so that each waits for the others.
		expect(await failures(collect(() => ({ store: memoryStore(), unit: 200, close() {} })))).toEqual([]);
	});

	for (const [fault, mutation] of Object.entries(mutations)) {
		test(`finds a store that ${fault}`, async () => {
			expect(await firstFailure(collect(() => fixture(mutation)))).toBeDefined();
		});
	}

	test("leaves out what a store cannot do, and names it", () => {
		const all = collect(fixture, []).map(({ title }) => title);
		const some = collect(fixture).map(({ title }) => title);
		const named = some.find((title) => title.startsWith("store.capabilities"))!;
		const leftOut = all.filter((title) => !some.includes(title) && !title.startsWith("store.capabilities"));
		expect(leftOut.length).toBeGreaterThan(10);
		for (const title of leftOut) expect(named).toContain(title.slice("store.".length));
		expect(all.find((title) => title.startsWith("store.capabilities"))).not.toContain("left out");
	});

	test("gives each test a title of its own", () => {
		const titles = collect(fixture, []).map(({ title }) => title);
		expect(titles.length).toBe(new Set(titles).size);
	});

	test("closes each fixture, whether its test passes or fails", async () => {
		let open = 0;
		const tests = collect(() => {
			open++;
			return { ...fixture(mutations["knows no lanes"]), close: () => open-- };
		});
		expect((await failures(tests)).length).toBeGreaterThan(5);
		expect(open).toBe(0);
	});

	test("says with which seed and after what its random operations have failed", async () => {
		const { body } = collect(() => fixture(mutations["knows no priority"])).find(({ title }) =>
			title.includes("model")
		)!;
		expect(String(await errorOf(body()))).toMatch(/seed 1, step \d+, after\n/);
	});

	for (const fault of ["knows no runs", "gives followers back before it has settled all"]) {
		test(`finds by random operations alone a store that ${fault}`, async () => {
			const isModel = ({ title }: Registered) => title.includes("model");
			const tests = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((seed) =>
				collect(() => fixture(mutations[fault]), undefined, seed).filter(isModel)
			);
			expect(await firstFailure(tests)).toBeDefined();
		});
	}

	test("throws at the door for arguments of the wrong type", () => {
		const open = async () => fixture();
		const register = () => {};
		expect(() => testStore(1 as never, open, { test: register })).toThrow(TypeError);
		expect(() => testStore("store", {} as never, { test: register })).toThrow(TypeError);
		expect(() => testStore("store", open, { test: "test" as never })).toThrow(TypeError);
		expect(() => testStore("store", open, { test: register, seed: 0.5 })).toThrow(RangeError);
	});
});
