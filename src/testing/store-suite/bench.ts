/**
 * The environment of a test of the store suite: a new store, helpers and its time.
 *
 * @module
 */

import type {
	Added,
	BasketLimit,
	Change,
	Claim,
	ClaimRequest,
	Data,
	KindLimit,
	LaneRun,
	NewTask,
	Outcome,
	Ref,
	Settlement,
	Store,
	StoredTask,
	TurnResult,
} from "../../basket/store.ts";
import { equal, fail } from "./assert.ts";

/** A store and its environment. Each test opens one and closes it at its end. */
export interface StoreFixture<Tx = unknown> {
	/** An empty store. The suite opens it. */
	readonly store: Store<Tx>;
	/**
	 * Advances the clock of the store, which otherwise stands still. If it is absent, the suite really waits and does
	 * not check times to the millisecond.
	 *
	 * @param duration in milliseconds
	 */
	advance?(duration: number): unknown;
	/** The unit of the suite's durations, in milliseconds. @default 1000 with `advance`, 50 without */
	readonly unit?: number | undefined;
	/** Opens another store on the same database, like another process or tab. The fixture closes it. */
	another?(): Promise<Store<Tx>>;
	/**
	 * Runs `work` in a transaction of the caller. Commits if it resolves, rolls back if it rejects. Rejects if `work`
	 * rejects or the commit fails. `work` awaits only calls of the store.
	 */
	transaction?(work: (tx: Tx) => Promise<unknown>): Promise<unknown>;
	/** Releases all resources and deletes the tasks. */
	close(): unknown;
}

/** An ability that some stores lack. */
export type StoreLack = "tx" | "shared" | "watch";

/** One test, registered as `name.title`. */
export interface StoreTest {
	/** The member and its behavior. */
	readonly title: string;
	/** The abilities that the test needs. */
	readonly needs?: readonly StoreLack[] | undefined;
	/** Runs the test. Rejects if it fails. */
	readonly run: (bench: Bench) => Promise<void>;
}

/** The parts of a turn, with defaults. */
export interface BenchTurn {
	readonly settle?: readonly Settlement[];
	readonly claim?: readonly ClaimRequest[];
	readonly lease?: number;
	readonly limits?: readonly KindLimit[];
	readonly overall?: BasketLimit;
	readonly runs?: readonly LaneRun[];
	readonly worker?: string;
}

/** A new store with helpers for the tests. */
export class Bench {
	readonly fixture: StoreFixture;
	readonly store: Store;
	/** The default basket. */
	readonly basket = "basket";
	/** A duration that passes only in {@link pass}, in milliseconds. */
	readonly unit: number;
	/** A duration that does not end during a test, except by `advance`. */
	readonly long: number;
	/** Whether the store's clock stands still unless it is moved. */
	readonly isExact: boolean;

	constructor(fixture: StoreFixture) {
		this.fixture = fixture;
		this.store = fixture.store;
		this.isExact = fixture.advance !== undefined;
		this.unit = fixture.unit ?? (this.isExact ? 1000 : 50);
		this.long = 2000 * this.unit;
	}

	/** Adds tasks, by id or with some of their fields, in as few calls as possible. */
	async add(...tasks: (string | Partial<NewTask>)[]): Promise<Added[]> {
		const most = this.store.capabilities.maxAdd ?? Infinity;
		const added: Added[] = [];
		for (let start = 0; start < tasks.length; start += most) {
			const some = tasks.slice(start, start + most).map(newTask);
			for (const one of await this.store.add(this.basket, some)) added.push(one);
		}
		return added;
	}

	/** Adds tasks that can be claimed at once, and claims them. */
	async running(...tasks: (string | Partial<NewTask>)[]): Promise<readonly Claim[]> {
		await this.add(...tasks);
		const claims = await this.claim(tasks.length);
		equal(claims.length, tasks.length, "how many of the added tasks are claimed");
		return claims;
	}

	/** Makes a turn with long leases that does only what the arguments say. */
	turn(
		{ settle = [], claim = [], lease = this.long, limits, overall, runs, worker }: BenchTurn,
		store: Store = this.store,
	): Promise<TurnResult> {
		const terms = { ...limits && { limits }, ...overall && { overall }, ...runs && { runs }, ...worker && { worker } };
		return store.turn(this.basket, { settle, claim, lease, ...terms });
	}

	/** Claims tasks of the kind `work`. */
	async claim(limit = 20, lease: number = this.long): Promise<readonly Claim[]> {
		return (await this.turn({ claim: [{ kinds: ["work"], limit }], lease })).claims;
	}

	/** Claims the one task that can be claimed. */
	async claimOnly(id: string, lease: number = this.long): Promise<Claim> {
		const claims = await this.claim(20, lease);
		equal(idsOf(claims), [id], "claimed");
		return claims[0]!;
	}

	/** Expects these and only these tasks to be claimed, in this order. */
	async expectClaims(ids: readonly string[], what: string): Promise<readonly Claim[]> {
		const claims = await this.claim();
		equal(idsOf(claims), ids, `claimed ${what}`);
		return claims;
	}

	/** Ends a claim. */
	async settle(ref: Ref, outcome: Outcome): Promise<boolean> {
		return (await this.turn({ settle: [{ ref, outcome }] })).settled[0]!;
	}

	/** Ends claims that must be current. */
	async settleAll(refs: readonly Ref[], outcome: Outcome = { type: "done" }): Promise<void> {
		const { settled } = await this.turn({ settle: refs.map((ref) => ({ ref, outcome })) });
		equal(settled, refs.map(() => true), `settled as ${outcome.type}`);
	}

	/** Gets a task that must exist. */
	async get(id: string): Promise<NonNullable<Awaited<ReturnType<Store["get"]>>>> {
		return await this.store.get(this.basket, id) ?? fail(`get("${id}"): there is no such task`);
	}

	/** The data in the log of a task that must exist. */
	async log(id: string, after = 0, limit = 10_000): Promise<Data[]> {
		const [entries] = await this.store.log(this.basket, [{ id, after, limit }]);
		if (entries === undefined) fail(`log() of "${id}": there is no such task`);
		for (const [index, { n }] of entries.entries()) equal(n, after + index + 1, "the number of an entry");
		return entries.map(({ data }) => data);
	}

	/** The states of tasks; `undefined` for missing tasks. */
	async states(...ids: string[]): Promise<(string | undefined)[]> {
		const states: (string | undefined)[] = [];
		for (const id of ids) states.push((await this.store.get(this.basket, id))?.state);
		return states;
	}

	/** All tasks in order. */
	list(): Promise<readonly StoredTask[]> {
		return this.store.list(this.basket, { limit: 10_000 });
	}

	/** Changes one task and returns whether it changed. */
	async change(id: string, change: Change): Promise<boolean> {
		return (await this.store.change(this.basket, [id], change))[0]!;
	}

	/** Lets some units of time pass. */
	async pass(units: number): Promise<void> {
		const duration = units * this.unit;
		if (this.isExact) await this.fixture.advance!(duration);
		// Timers may fire a millisecond early, and the clock of a server differs from this one.
		else await wait(duration + 10);
	}

	/**
	 * Waits for work that depends on the database or on timers of the store's clock. The clock moves a little
	 * meanwhile, so such tests use long durations.
	 */
	async patiently<T>(work: Promise<T>): Promise<T> {
		let isPending = true;
		const settled = () => void (isPending = false);
		work.then(settled, settled);
		for (let round = 0; isPending; round++) {
			await wait(round < 50 ? 0 : 5);
			if (isPending && this.isExact) await this.fixture.advance!(1);
		}
		return await work;
	}

	/** Repeats a call that failed because of others. */
	async persistently<T>(work: () => Promise<T>): Promise<T> {
		for (let attempt = 0;; attempt++) {
			try {
				return await work();
			} catch (error) {
				if (attempt === 100 || !(error as { isTransient?: boolean }).isTransient) throw error;
				await wait(5);
			}
		}
	}

	/** Waits for a condition, at most this many times 5 ms. Resolves with whether it is met. */
	async until(isSo: () => boolean, rounds: number): Promise<boolean> {
		for (let round = 0; round < rounds && !isSo(); round++) {
			await wait(5);
			if (this.isExact) await this.fixture.advance!(10);
		}
		return isSo();
	}
}

/** A task of the kind `work` that is due at once. */
export function newTask(task: string | Partial<NewTask>): NewTask {
	const given = typeof task === "string" ? { id: task } : task;
	return { kind: "work", payload: `payload of ${given.id}`, delay: 0, priority: 0, ...given };
}

/** The ids of tasks or claims. */
export function idsOf(tasks: readonly { readonly id: string }[]): string[] {
	return tasks.map(({ id }) => id);
}

/** The data that every claim has. A store may return more. */
export function claimed(claim: Omit<Claim, "token" | "age" | "late" | "lapsed">): Partial<Claim> {
	const { id, kind, payload, attempts, crashes, priority, lane, limitKey, error, inbox, meta, history } = claim;
	return { id, kind, payload, attempts, crashes, priority, lane, limitKey, error, inbox, meta, history };
}

/** Numbered ids. */
export function numbered(count: number, prefix: string): string[] {
	return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

/** Waits in real time. */
export function wait(duration: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, duration));
}
