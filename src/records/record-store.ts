/**
 * Makes a whole store of rows in tables.
 *
 * @module
 */

import type {
	Added,
	Change,
	Claim,
	ClaimRequest,
	Counts,
	Data,
	Done,
	ListQuery,
	Message,
	NewTask,
	Ref,
	Save,
	Settlement,
	Store,
	StoreCapabilities,
	StoredTask,
	Turn,
	TurnResult,
} from "../basket/store.ts";
import { taskStates } from "../basket/store.ts";
import { check } from "../platform/check.ts";
import { StoreError } from "../platform/store-error.ts";
import { add } from "./adding.ts";
import { change, hasten, post, remove } from "./changing.ts";
import { claim, findNext } from "./claiming.ts";
import { countAside, type CountedPart, countPart, listPart, look, type Part } from "./looking.ts";
import { clocked, counted } from "./orders.ts";
import { Session, type Settings } from "./session.ts";
import { complete, extend, removeKept, save as saveAll, settle } from "./settling.ts";
import type { Purpose, RecordSpace, RecordTransaction, Work } from "./space.ts";
import type { Order } from "./tables.ts";

/** Of what fits into a commit, a task in a lane takes so much: it changes the one behind it, too. */
const laneWeight = 3;

/** How many backoffs are ended in one transaction. */
const mostHastened = 1000;

/** What is done many at a time: something to a task by its id, or to a claim. */
type Item = string | Ref | { readonly ref: Ref };

/**
 * Makes a whole {@link Store} of rows in transactions.
 *
 * @param space what the database can do
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

class RecordStore<Tx> implements Store<Tx> {
	readonly capabilities: StoreCapabilities;
	readonly watch?: NonNullable<Store<Tx>["watch"]>;
	readonly #space: RecordSpace<Tx>;
	readonly #settings: Settings;
	/** What tokens have in common where the space says nothing of it. */
	readonly #own: string = crypto.randomUUID().replaceAll("-", "");
	#mark = "";
	/** How many tokens: with the mark it makes each of them unique. */
	#made = 0;

	constructor(space: RecordSpace<Tx>) {
		const { capabilities, isOptimistic, isSparse = false, inline, limits = {} } = space;
		this.#space = space;
		this.capabilities = capabilities;
		if (space.watch !== undefined) this.watch = (basket, wake, onError) => space.watch!(basket, wake, onError);
		this.#settings = {
			orders: isOptimistic ? clocked() : counted,
			isOptimistic,
			inline,
			limits: { sizeOf, ...limits },
			hasAside: !isSparse,
			random: () => space.random?.() ?? Math.random(),
			nextMark: () => `${this.#mark}.${++this.#made}`,
		};
	}

	async open(): Promise<void> {
		await this.#space.open();
	}

	async close(): Promise<void> {
		await this.#space.close?.();
	}

	async add(basket: string, tasks: readonly NewTask[], tx?: Tx): Promise<readonly Added[]> {
		this.#settings.limits.checkTasks?.(basket, tasks);
		for (const { payload } of tasks) this.#checkData("payload", payload);
		return await this.#do(basket, "add", (session) => add(session, tasks), tx);
	}

	async turn(basket: string, turn: Turn): Promise<TurnResult> {
		if (turn.claim.length > 0) this.#mark = await this.#space.mark?.() ?? this.#own;
		const result = await this.#turn(basket, turn);
		this.#space.onTurn?.(basket, result);
		return result;
	}

	async complete(basket: string, ref: Ref, outcome: Done, tx: Tx): Promise<boolean> {
		return await this.#do(basket, "change", (session) => complete(session, { ref, outcome }), tx);
	}

	async extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]> {
		return await this.#inCommits(basket, "lease", refs, (session, some) => extend(session, some, lease));
	}

	async save(basket: string, saves: readonly Save[], tx?: Tx): Promise<readonly boolean[]> {
		const refusals = saves.map((save) => this.#refusalOf(save));
		const refusal = refusals.find((refusal) => refusal !== undefined);
		if (tx !== undefined) {
			if (refusal !== undefined) throw refusal;
			return await this.#do(basket, "change", (session) => saveAll(session, saves), tx);
		}
		// Too much of one claim must not lose what others have.
		const fitting = saves.filter((_, index) => refusals[index] === undefined);
		const saved = await this.#inCommits(basket, "change", fitting, saveAll);
		if (refusal !== undefined) throw refusal;
		return saved;
	}

	async get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		return await this.#do(basket, "read", (session) => look(session, id));
	}

	async list(basket: string, query: ListQuery): Promise<readonly StoredTask[]> {
		const { after, limit } = query;
		const found: StoredTask[] = [];
		let above = after === undefined ? undefined : this.#settings.orders.fromKey(after);
		do {
			const rest = { ...query, limit: limit - found.length };
			const part: Part = await this.#do(basket, "read", (session) => listPart(session, rest, above));
			for (const task of part.found) found.push(task);
			above = part.above;
		} while (above !== undefined && found.length < limit);
		return found;
	}

	async counts(basket: string): Promise<Counts> {
		if (this.#settings.hasAside) return await this.#do(basket, "read", countAside);
		const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		let above: Order | undefined;
		do {
			const part: CountedPart = await this.#do(basket, "read", (session) => countPart(session, above));
			for (const state of taskStates) counts[state] += part.counts[state];
			above = part.above;
		} while (above !== undefined);
		return counts;
	}

	async delete(basket: string, ids: readonly string[]): Promise<readonly boolean[]> {
		// From the end: of a lane that is named in order, one head is deleted, and not each task as it becomes the head.
		const backwards = [...new Set(ids)].reverse();
		const removed = await this.#inCommits(basket, "change", backwards, remove);
		const gone = new Set(backwards.filter((_, index) => removed[index]));
		return ids.map((id) => gone.delete(id));
	}

	async change(basket: string, ids: readonly string[], what: Change): Promise<readonly boolean[]> {
		return await this.#inCommits(basket, "change", ids, (session, some) => change(session, some, what));
	}

	async hasten(basket: string, within: number): Promise<number> {
		const limit = Math.min(this.#space.perCommit ?? mostHastened, mostHastened);
		let count = 0;
		for (let looked = limit; looked > 0;) {
			const part = await this.#do(basket, "lease", (session) => {
				return hasten(session, within, Math.ceil(limit / 2 ** session.tx.attempt));
			});
			count += part.hastened;
			looked = part.looked;
		}
		return count;
	}

	async post(basket: string, id: string, data: Data): Promise<boolean> {
		this.#checkData("data", data);
		return await this.#do(basket, "change", (session) => post(session, id, data));
	}

	async #turn(basket: string, turn: Turn): Promise<TurnResult> {
		if (this.#space.perCommit !== undefined) return await this.#turnInParts(basket, turn);
		try {
			return await this.#do(basket, "change", (session) => turnAtOnce(session, turn));
		} catch (error) {
			if (!isFull(error)) throw error;
			return await this.#turnWhenFull(basket, turn);
		}
	}

	async #turnInParts(basket: string, { settle: settlements, claim: requests, lease }: Turn): Promise<TurnResult> {
		const settled = await this.#inCommits(basket, "change", settlements, settle);
		await this.#do(basket, "change", (session) => {
			const most = Math.ceil(this.#space.perCommit! / laneWeight / 2 ** session.tx.attempt);
			return removeKept(session, Math.min(settlements.length + 10, most));
		});
		const claims: Claim[] = [];
		let dueIn = Infinity;
		for (const request of requests) dueIn = await this.#claimInParts(basket, request, lease, claims);
		if (requests.length > 1) dueIn = await this.#do(basket, "read", (session) => findNext(session, kindsOf(requests)));
		return { settled, claims, dueIn };
	}

	async #claimInParts(basket: string, { kinds, limit }: ClaimRequest, lease: number, claims: Claim[]): Promise<number> {
		let dueIn = 0;
		for (let rest = limit; rest > 0 && dueIn === 0;) {
			const request = { kinds, limit: Math.min(rest, this.#space.perCommit!) };
			const part = await this.#do(basket, "change", (session) => claim(session, request, lease));
			for (const one of part.claims) claims.push(one);
			rest -= part.claims.length;
			dueIn = part.dueIn;
		}
		return dueIn;
	}

	/** With a full disk, what only removes something comes first: that is possible. Claims are halved until they fit. */
	async #turnWhenFull(basket: string, { settle: settlements, claim, lease }: Turn): Promise<TurnResult> {
		const settled: boolean[] = [];
		const isRemoval = ({ outcome }: Settlement) => outcome.type === "done" && !(outcome.keep! > 0);
		for (const isFirst of [true, false]) {
			for (const [index, settlement] of settlements.entries()) {
				if (isRemoval(settlement) !== isFirst) continue;
				const [one] = await this.#do(basket, "change", (session) => settle(session, [settlement]));
				settled[index] = one!;
			}
		}
		for (let most = claim.reduce((most, { limit }) => Math.max(most, limit), 1);; most = Math.ceil(most / 2)) {
			try {
				const fewer = claim.map(({ kinds, limit }) => ({ kinds, limit: Math.min(limit, most) }));
				const turn = { settle: [], claim: fewer, lease };
				return { ...await this.#do(basket, "change", (session) => turnAtOnce(session, turn)), settled };
			} catch (error) {
				if (!isFull(error) || most === 1) throw error;
			}
		}
	}

	/** Makes a change for each item, as many in one commit as it takes; none is ever made by halves. */
	async #inCommits<T extends Item, R>(
		basket: string,
		purpose: Purpose,
		items: readonly T[],
		work: (session: Session, some: readonly T[]) => Work<readonly R[]>,
	): Promise<R[]> {
		const results: R[] = [];
		while (results.length < items.length) {
			const part = await this.#do(basket, purpose, (session) => {
				const most = (this.#space.perCommit ?? Infinity) / 2 ** session.tx.attempt;
				return work(session, take(items, results.length, most));
			});
			for (const result of part) results.push(result);
		}
		return results;
	}

	async #do<R>(basket: string, purpose: Purpose, work: (session: Session) => Work<R>, tx?: Tx): Promise<R> {
		this.#settings.limits.checkBasket?.(basket);
		if (tx !== undefined && !this.capabilities.tx) throw new TypeError("This store has no transactions");
		const whole = (transaction: RecordTransaction) => new Session(transaction, this.#settings).whole(work);
		return await this.#space.transact(basket, whole, tx === undefined ? { purpose } : { purpose, tx });
	}

	#refusalOf({ payload, progress = "" }: Save): RangeError | undefined {
		const { progress: longest = Infinity } = this.#settings.limits;
		try {
			if (payload !== undefined) this.#checkData("payload", payload);
			check("progress", progress, "string", progress.length <= longest, `of ${longest} characters or less`);
		} catch (error) {
			return error as RangeError;
		}
		return undefined;
	}

	#checkData(name: string, data: Data): void {
		const { payload: largest, sizeOf } = this.#settings.limits;
		if (largest === undefined) return;
		const size = sizeOf!(data);
		check(`the size of "${name}" in bytes`, size, "number", size <= largest, `${largest} or less`);
	}
}

/** Ends claims, lets lanes move up, removes what was kept long enough, and claims. */
function* turnAtOnce(session: Session, { settle: settlements, claim: requests, lease }: Turn): Work<TurnResult> {
	const settled = yield* settle(session, settlements);
	yield* removeKept(session, settlements.length + 10);
	yield* session.promote();
	const claims: Claim[] = [];
	let dueIn = Infinity;
	for (const request of requests) {
		const part = yield* claim(session, request, lease);
		for (const one of part.claims) claims.push(one);
		dueIn = part.dueIn;
	}
	// What was over the limit of one request may have been taken by another.
	if (requests.length > 1) dueIn = yield* findNext(session, kindsOf(requests));
	return { settled, claims, dueIn };
}

function kindsOf(requests: readonly ClaimRequest[]): string[] {
	return requests.flatMap(({ kinds }) => kinds);
}

/** As many items from there on as weigh no more than that, but one at least. */
function take<T extends Item>(items: readonly T[], from: number, most: number): readonly T[] {
	if (most === Infinity) return from === 0 ? items : items.slice(from);
	let end = from;
	for (let weight = 0; end < items.length; end++) {
		const item: Item = items[end]!;
		const { lane } = typeof item === "string" ? { lane: item } : "ref" in item ? item.ref : item;
		weight += lane === undefined ? 1 : laneWeight;
		if (weight > most && end > from) break;
	}
	return items.slice(from, end);
}

/** In bytes of UTF-8, or of the array itself. */
function sizeOf(data: Data): number {
	return typeof data === "string" ? new TextEncoder().encode(data).length : data.length;
}

function isFull(error: unknown): boolean {
	return error instanceof StoreError && error.code === "full";
}
