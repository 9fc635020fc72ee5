/**
 * Creates a complete store over rows in tables.
 *
 * @module
 */

import type {
	Added,
	BasketLimit,
	Claim,
	ClaimRequest,
	Counts,
	Data,
	Done,
	NewTask,
	Ref,
	Save,
	Settlement,
	Store,
	Turn,
	TurnResult,
} from "../basket/store.ts";
import { taskStates } from "../basket/store.ts";
import { inParts } from "../basket/in-parts.ts";
import { check } from "../platform/check.ts";
import { claim, type Claimed, claimWithin, findNext, type Terms } from "./claiming.ts";
import { clocked } from "./clocked.ts";
import { type CountedPart, countPart } from "./counting.ts";
import { addGated, type Limits, limitsOf } from "./gate-queue.ts";
import { counted } from "./orders.ts";
import { problemOf, sizeOf } from "./limits.ts";
import { laneWeight, RecordSession } from "./record-session.ts";
import { type Item, kindsOf, PlainStore } from "./plain-store.ts";
import type { Session } from "./session.ts";
import { closeBasket, openBasket, putBack, soonest } from "./overall.ts";
import { settle } from "./settling.ts";
import { withoutPaused } from "./pausing.ts";
import type { Purpose, RecordSpace, RecordTransaction, Work } from "./space.ts";
import type { Order } from "./tables.ts";

/**
 * Creates a complete {@link Store} over a {@link RecordSpace}.
 *
 * @param space the database, as tables of rows with transactions
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { overMap, recordStore } from "upkeep/store";
 *
 * const entries = new Map<string, unknown>();
 * const inOrder = () => [...entries].sort(([a], [b]) => a < b ? -1 : 1);
 * const store = recordStore(overMap({
 * 	capabilities: { durable: false, shared: false, tx: false, clock: "machine" },
 * 	async open() {},
 * 	async transaction(work) {
 * 		return await work({
 * 			get: (keys) => keys.map((key) => entries.get(key)),
 * 			list({ start, end, limit, reverse }) {
 * 				const found = inOrder().filter(([key]) => key >= start && key < end);
 * 				return (reverse ? found.reverse() : found).slice(0, limit);
 * 			},
 * 			set: (key, value) => void entries.set(key, value),
 * 			delete: (key) => void entries.delete(key),
 * 		}, 0);
 * 	},
 * }));
 * await store.open();
 * await store.add("mails", [{ id: "welcome", kind: "send", payload: "{}", delay: 0, priority: 0 }]);
 * assert.equal((await store.get("mails", "welcome"))?.state, "waiting");
 * ```
 */
export function recordStore<Tx = never>(space: RecordSpace<Tx>): Store<Tx> {
	return new RecordStore(space);
}

/** Extends a plain store by concurrent transactions, commits of limited size, limits, and omitted indexes. */
class RecordStore<Tx> extends PlainStore<Tx> {
	/** The default common part of tokens. */
	readonly #own: string = crypto.randomUUID().replaceAll("-", "");

	constructor(space: RecordSpace<Tx>) {
		super(space, space.isOptimistic ? clocked() : counted, () => space.random?.() ?? Math.random());
	}

	override async add(basket: string, tasks: readonly NewTask[], tx?: Tx): Promise<readonly Added[]> {
		this.space.limits?.checkTasks?.(basket, tasks);
		for (const { payload, item = "" } of tasks) {
			this.#checkData("payload", payload);
			this.#checkData("item", item);
		}
		return await super.add(basket, tasks, tx);
	}

	override async complete(basket: string, ref: Ref, outcome: Done, tx: Tx): Promise<boolean> {
		const [isDone] = await this.many(basket, "change", [{ ref, outcome }], settle, tx);
		return isDone!;
	}

	override async save(basket: string, saves: readonly Save[], tx?: Tx): Promise<readonly boolean[]> {
		const refusals = saves.map((save) => this.#refusalOf(basket, save));
		const refusal = refusals.find((refusal) => refusal !== undefined);
		if (tx !== undefined) {
			if (refusal !== undefined) throw refusal;
			return await super.save(basket, saves, tx);
		}
		// One save that is too large must not affect the others.
		const saved = await super.save(basket, saves.filter((_, index) => refusals[index] === undefined));
		if (refusal !== undefined) throw refusal;
		return saved;
	}

	override async counts(basket: string): Promise<Counts> {
		if (!this.space.isSparse) return await super.counts(basket);
		const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		let above: Order | undefined;
		do {
			const part: CountedPart = await this.do(basket, "read", (session) => countPart(session, above));
			for (const state of taskStates) counts[state] += part.counts[state];
			above = part.above;
		} while (above !== undefined);
		return counts;
	}

	override async delete(basket: string, ids: readonly string[], tx?: Tx): Promise<readonly boolean[]> {
		// From the end, so that if a whole lane is deleted in order, only one head is removed, and not each task as it
		// becomes the head.
		const backwards = [...new Set(ids)].reverse();
		const removed = await super.delete(basket, backwards, tx);
		const gone = new Set(backwards.filter((_, index) => removed[index]));
		return ids.map((id) => gone.delete(id));
	}

	override async post(basket: string, id: string, data: Data): Promise<boolean> {
		this.#checkData("data", data);
		return await super.post(basket, id, data);
	}

	protected override async turnOnce(basket: string, turn: Turn): Promise<TurnResult> {
		const { perCommit } = this.space;
		const settle = turn.settle.map((one) => this.#withChildren(basket, one));
		return perCommit === undefined
			? await super.turnOnce(basket, { ...turn, settle })
			: await this.#turnInParts(basket, { ...turn, settle }, perCommit);
	}

	/** A task whose children cannot be stored becomes dead, so that it does not block other settlements. */
	#withChildren(basket: string, one: Settlement): Settlement {
		const problem = this.#problemOf(basket, one);
		const { attempts = 0 }: { readonly attempts?: number } = one.outcome as { attempts?: number };
		return problem === undefined ? one : { ref: one.ref, outcome: { type: "dead", attempts, error: problem.message } };
	}

	/** Puts as many items into each commit as fit. Each item is handled completely or not at all. */
	protected override async many<T extends Item, R>(
		basket: string,
		purpose: Purpose,
		items: readonly T[],
		work: (session: Session, some: readonly T[]) => Work<readonly R[]>,
		tx?: Tx,
	): Promise<readonly R[]> {
		if (tx !== undefined) return await this.do(basket, purpose, (session) => orFail(session, work(session, items)), tx);
		const results: R[] = [];
		while (results.length < items.length) {
			const part = await this.do(basket, purpose, (session) => {
				const most = (this.space.perCommit ?? Infinity) / 2 ** session.tx.attempt;
				return work(session, take(items, results.length, most));
			});
			for (const result of part) results.push(result);
		}
		return results;
	}

	protected override mark(): string | Promise<string> {
		return this.space.mark?.() ?? this.#own;
	}

	protected override begin(transaction: RecordTransaction): Session {
		return new RecordSession(transaction, this.settings, this.space);
	}

	protected override async do<R>(
		basket: string,
		purpose: Purpose,
		work: (session: Session) => Work<R>,
		tx?: Tx,
	): Promise<R> {
		this.space.limits?.checkBasket?.(basket);
		if (tx !== undefined && !this.capabilities.tx) throw new TypeError("This store has no transactions");
		return await super.do(basket, purpose, work, tx);
	}

	async #turnInParts(
		basket: string,
		{ settle: ended, claim: requested, limits: given, overall, ...terms }: Turn,
		perCommit: number,
	): Promise<TurnResult> {
		const places = inParts(ended, ({ token }) => this.settings.orders.parse(token));
		const settlements = places.map((place) => ended[place]!);
		const { paused, gated } = await this.#expire(basket, settlements.length + 10, perCommit);
		const requests = withoutPaused(requested, paused);
		const limits = limitsOf(given, gated);
		const settled: boolean[] = [];
		let begun: Claimed | undefined;
		while (settled.length < settlements.length) {
			const part = await this.do(basket, "change", (session) => {
				const most = perCommit / 2 ** session.tx.attempt;
				const some = take(settlements, settled.length, most);
				const isLast = settled.length + some.length === settlements.length;
				session.gated = gated;
				const request = isLast && overall === undefined ? requests[0] : undefined;
				return settleAndClaim(session, some, request, terms, limits, most);
			});
			for (const one of part.settled) settled.push(one);
			begun = part.claimed;
		}
		if (overall !== undefined) await this.#openBasket(basket, overall, requests.length > 0, perCommit);
		const claims: Claim[] = [];
		let dueIn = Infinity;
		for (const request of requests) {
			dueIn = await this.#claimInParts(basket, request, { ...terms, limits, overall }, claims, begun);
			begun = undefined;
		}
		if (requests.length > 1) {
			dueIn = await this.do(basket, "read", (session) => findNextWithin(session, kindsOf(requests), limits, overall));
		}
		const answers = new Map(places.map((place, index) => [place, settled[index]!]));
		return { settled: ended.map((_, place) => answers.get(place)!), claims, dueIn };
	}

	/** Removes expired tasks and logs of tasks that are gone, and finds the pauses. */
	async #expire(basket: string, count: number, perCommit: number): Promise<RecordSession> {
		for (let parts = 1;; parts++) {
			const session = await this.do(basket, "change", function* (session) {
				const most = Math.ceil(perCommit / laneWeight / 2 ** session.tx.attempt);
				yield* settle(session, [], Math.min(count, most));
				return session as RecordSession;
			});
			if (session.remnants.length === 0 || parts === mostSweeps) return session;
		}
	}

	/** Puts tasks back whose lease has expired. Wakes watchers if a place is free, unless claims follow. */
	async #openBasket(basket: string, limit: BasketLimit, isClaiming: boolean, perCommit: number): Promise<void> {
		for (let isMore = true; isMore;) {
			isMore = await this.do(basket, "change", function* (session) {
				const most = Math.ceil(perCommit / laneWeight / 2 ** session.tx.attempt);
				const isMore = (yield* putBack(session, limit, most)) === most;
				if (!isClaiming) closeBasket(session, yield* openBasket(session, limit), 0, Infinity, 0);
				return isMore;
			});
		}
	}

	/** @param begun the claims that were already made for this request */
	async #claimInParts(
		basket: string,
		{ kinds, limit }: ClaimRequest,
		{ limits, overall, ...terms }: PartTerms,
		claims: Claim[],
		begun: Claimed = { claims: [], heads: 0, dueIn: 0 },
	): Promise<number> {
		let part = begun;
		for (let [rest, parts] = [limit, 0];; parts++) {
			for (const one of part.claims) claims.push(one);
			rest -= part.heads;
			const isEnd = rest <= 0 || part.dueIn > 0;
			if (isEnd && !(part.isCut && parts < mostParts)) return part.dueIn;
			const request = { kinds, limit: Math.min(Math.max(rest, 0), this.space.perCommit!) };
			part = await this.do(
				basket,
				"change",
				(session) =>
					overall === undefined
						? claim(session, request, terms, limits)
						: claimWithin(session, request, terms, limits, overall),
			);
		}
	}

	/** Why children of a task cannot be added, if they cannot. */
	#problemOf(basket: string, { ref, children = [] }: Save | Settlement): RangeError | undefined {
		try {
			if (children.length > 0) this.space.limits?.checkChildren?.(basket, ref.id, children);
			for (const { payload } of children) this.#checkData("payload", payload);
		} catch (error) {
			return error as RangeError;
		}
		return undefined;
	}

	#refusalOf(basket: string, save: Save): RangeError | undefined {
		const { payload, progress = "", log } = save;
		const refusal = this.#problemOf(basket, save);
		if (refusal !== undefined) return refusal;
		const { limits = {} } = this.space;
		const { progress: longest = Infinity } = limits;
		const problem = log && problemOf(log, limits);
		if (problem !== undefined) return new RangeError(problem);
		try {
			if (payload !== undefined) this.#checkData("payload", payload);
			check("progress", progress, "string", progress.length <= longest, `of ${longest} characters or less`);
		} catch (error) {
			return error as RangeError;
		}
		return undefined;
	}

	#checkData(name: string, data: Data): void {
		const { payload: largest, sizeOf: measure = sizeOf } = this.space.limits ?? {};
		if (largest === undefined) return;
		const size = measure(data);
		check(`the size of "${name}" in bytes`, size, "number", size <= largest, `${largest} or less`);
	}
}

/** What holds for the claims of a turn in parts. */
interface PartTerms extends Terms {
	readonly limits: Limits;
	readonly overall: BasketLimit | undefined;
}

/** The time until a task of these kinds may be claimed. */
function* findNextWithin(
	session: Session,
	kinds: readonly string[],
	limits: Limits,
	overall: BasketLimit | undefined,
): Work<number> {
	const dueIn = yield* findNext(session, kinds, limits);
	if (overall === undefined || dueIn === Infinity) return dueIn;
	return soonest(yield* openBasket(session, overall), 0, dueIn, session.now, 0);
}

/** The maximum number of commits in which a turn looks at gates. */
const mostParts = 100;

/**
 * The maximum number of commits in which a turn removes logs: more than are appended meanwhile, and not so many that
 * claims wait long.
 */
const mostSweeps = 10;

/** What cannot be done must make the commit of a list of changes fail: a claim was lost, or a task is not there. */
function* orFail<R>({ tx }: Session, work: Work<readonly R[]>): Work<readonly R[]> {
	const results = yield* work;
	if (tx.isBlind && results.includes(false as R)) tx.fail!();
	return results;
}

/**
 * Settles claims, and claims as many tasks as fit into the rest of the commit, which saves a commit. After a conflict,
 * settlements do not wait for claims, which are what workers compete for.
 */
function* settleAndClaim(
	session: Session,
	settlements: readonly Settlement[],
	request: ClaimRequest | undefined,
	terms: Terms,
	limits: Limits,
	most: number,
): Work<{ settled: boolean[]; claimed?: Claimed }> {
	const settled = yield* settle(session, settlements);
	yield* session.promote();
	addGated(limits, session.marks.kinds);
	const room = settlements.reduce((rest, one) => rest - weightOf(one), most);
	if (request === undefined || room < 1 || session.tx.attempt > 0) return { settled };
	const { kinds, limit } = request;
	return { settled, claimed: yield* claim(session, { kinds, limit: Math.min(limit, room) }, terms, limits, room) };
}

/** The weight of an item in a commit. */
function weightOf(item: Item): number {
	if (typeof item === "string") return laneWeight;
	const { ref, log, children = [] }: Partial<Save> & { readonly ref: Ref } = "ref" in item ? item : { ref: item };
	const weight = [ref, ...children].reduce((sum, { lane }) => sum + (lane === undefined ? 1 : laneWeight), 0);
	const counted = (ref as { readonly isCounted?: true }).isCounted ? countedWeight : 0;
	return weight + counted + (log?.entries.length ?? 0) / entriesPerWeight;
}

/** The weight of a child that a join counts, besides its own: a full commit also has room for a join and its parent. */
const countedWeight = 0.03;

/** The number of entries of a log that weigh as much as a task: each is one key, and is not checked. */
const entriesPerWeight = 10;

/** As many items from this index on as fit into the weight, but at least one. */
function take<T extends Item>(items: readonly T[], from: number, most: number): readonly T[] {
	if (most === Infinity) return from === 0 ? items : items.slice(from);
	let end = from;
	for (let weight = 0; end < items.length; end++) {
		weight += weightOf(items[end]!);
		if (weight > most && end > from) break;
	}
	return items.slice(from, end);
}
