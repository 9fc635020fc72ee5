/**
 * What a test of the store suite works with: a fresh store, short words for what every test does, and its time.
 *
 * @module
 */

import type {
	Added,
	Claim,
	ClaimRequest,
	NewTask,
	Outcome,
	Ref,
	Settlement,
	Store,
	StoredTask,
	TurnResult,
} from "../../basket/store.ts";
import { equal, fail } from "./assert.ts";

/** What the suite needs of a store besides the store itself. A test opens one, and closes it when it is over. */
export interface StoreFixture<Tx = unknown> {
	/** The store, empty. The suite opens it. */
	readonly store: Store<Tx>;
	/**
	 * Lets time pass on the store's clock, which stands still otherwise. Absent: the suite really waits, and checks no
	 * instant to the millisecond.
	 *
	 * @param duration in milliseconds
	 */
	advance?(duration: number): unknown;
	/** The unit of the suite's durations, in milliseconds. @default 1000 with `advance`, 50 without */
	readonly unit?: number | undefined;
	/** Opens one more store on the same database, as another process or tab would. The fixture closes it. */
	another?(): Promise<Store<Tx>>;
	/**
	 * Runs `work` in a transaction of the caller: commits if it resolves, rolls back if it rejects. Rejects if `work` did or
	 * the commit failed. Between its calls `work` waits for nothing but the store.
	 */
	transaction?(work: (tx: Tx) => Promise<unknown>): Promise<unknown>;
	/** Gives everything back, and deletes the tasks. */
	close(): unknown;
}

/** What some stores cannot do. */
export type StoreLack = "tx" | "shared" | "watch";

/** One test, registered as `name.title`. */
export interface StoreTest {
	/** The member and its behaviour. */
	readonly title: string;
	/** What the store must be able to do. */
	readonly needs?: readonly StoreLack[] | undefined;
	/** Rejects if the store does not do it. */
	readonly run: (bench: Bench) => Promise<void>;
}

/** The parts of a turn, with defaults. */
export interface BenchTurn {
	readonly settle?: readonly Settlement[];
	readonly claim?: readonly ClaimRequest[];
	readonly lease?: number;
}

/** A fresh store and short words for what every test does with it. */
export class Bench {
	readonly fixture: StoreFixture;
	readonly store: Store;
	/** The basket that is meant where none is named. */
	readonly basket = "basket";
	/** A duration that passes only in {@link pass}. In milliseconds, as all. */
	readonly unit: number;
	/** A duration that no test lives to see the end of, unless it lets it pass with `advance`. */
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

	/** Adds tasks, by id or with some of their fields, in as few calls as the store takes. */
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

	/** A turn with long leases that wants nothing, but for what it is told. */
	turn({ settle = [], claim = [], lease = this.long }: BenchTurn, store: Store = this.store): Promise<TurnResult> {
		return store.turn(this.basket, { settle, claim, lease });
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

	/** A task that must be there. */
	async get(id: string): Promise<NonNullable<Awaited<ReturnType<Store["get"]>>>> {
		return await this.store.get(this.basket, id) ?? fail(`get("${id}"): there is no such task`);
	}

	/** The states of tasks; `undefined` for those that are not there. */
	async states(...ids: string[]): Promise<(string | undefined)[]> {
		const states: (string | undefined)[] = [];
		for (const id of ids) states.push((await this.store.get(this.basket, id))?.state);
		return states;
	}

	/** All tasks in order. */
	list(): Promise<readonly StoredTask[]> {
		return this.store.list(this.basket, { limit: 10_000 });
	}

	/** The only answer to one id. */
	async change(id: string, change: "retry" | "hold" | "release"): Promise<boolean> {
		return (await this.store.change(this.basket, [id], change))[0]!;
	}

	/** Lets some units of time pass. */
	async pass(units: number): Promise<void> {
		const duration = units * this.unit;
		if (this.isExact) await this.fixture.advance!(duration);
		// A platform's timers may be early by one, and a server's clock is not this one.
		else await wait(duration + 10);
	}

	/**
	 * Waits for what depends on others: on the database, or on timers of the store's clock. That moves a little meanwhile, so
	 * durations in such tests are long.
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

	/** Calls again what somebody else was in the way of. */
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

	/** Waits until something is so, this many times 5 ms; resolves with whether it is. */
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

/** What a claim says of its task whenever it is claimed. A store may give more. */
export function claimed({ id, kind, payload, attempts, crashes, priority, lane, error, inbox }: Claim): Partial<Claim> {
	return { id, kind, payload, attempts, crashes, priority, lane, error, inbox };
}

/** Numbered ids. */
export function numbered(count: number, prefix: string): string[] {
	return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

/** Really waits. */
export function wait(duration: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, duration));
}
