/**
 * A store of rows where nothing stands in the way. What other spaces need besides is in `recordStore`, so that a page does not carry it.
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
import { StoreError } from "../platform/store-error.ts";
import { add } from "./adding.ts";
import { change, hasten, post, remove } from "./changing.ts";
import { claim, findNext } from "./claiming.ts";
import { countAside, listPart, look } from "./looking.ts";
import { counted, type Orders } from "./orders.ts";
import { Session, type Settings } from "./session.ts";
import { findTokens } from "./owning.ts";
import { extend, save, settle } from "./settling.ts";
import type { Purpose, RecordSpace, RecordTransaction, Work } from "./space.ts";

/** What is done many at a time: something to a task by its id, or to a claim. */
export type Item = string | Ref | { readonly ref: Ref };

/**
 * A store of a space with one transaction at a time, of any size, whose indexes the database keeps, without limits, and which names the
 * owners of claims.
 */
export class PlainStore<Tx> implements Store<Tx> {
	readonly capabilities: StoreCapabilities;
	readonly watch?: NonNullable<Store<Tx>["watch"]>;
	protected readonly space: RecordSpace<Tx>;
	protected readonly settings: Settings;
	#mark = "";
	/** How many tokens: with the mark it makes each of them unique. */
	#made = 0;

	constructor(space: RecordSpace<Tx>, orders: Orders = counted, random: () => number = Math.random) {
		this.space = space;
		this.capabilities = space.capabilities;
		if (space.watch !== undefined) this.watch = (...given) => space.watch!(...given);
		const nextMark = () => `${this.#mark}.${++this.#made}`;
		this.settings = { orders, inline: space.inline, random, nextMark };
	}

	async open(): Promise<void> {
		await this.space.open();
	}

	async close(): Promise<void> {
		await this.space.close?.();
	}

	add(basket: string, tasks: readonly NewTask[], tx?: Tx): Promise<readonly Added[]> {
		return this.do(basket, "add", (session) => add(session, tasks), tx);
	}

	async turn(basket: string, turn: Turn): Promise<TurnResult> {
		if (turn.claim.length > 0) this.#mark = await this.mark();
		return await this.turnOnce(basket, turn);
	}

	async complete(basket: string, ref: Ref, outcome: Done, tx: Tx): Promise<boolean> {
		const [isDone] = await this.do(basket, "change", (session) => settle(session, [{ ref, outcome }]), tx);
		return isDone!;
	}

	extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]> {
		return this.many(basket, "lease", refs, (session, some) => extend(session, some, lease));
	}

	save(basket: string, saves: readonly Save[], tx?: Tx): Promise<readonly boolean[]> {
		return this.many(basket, "change", saves, save, tx);
	}

	get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		return this.do(basket, "read", (session) => look(session, id));
	}

	async list(basket: string, query: ListQuery): Promise<readonly StoredTask[]> {
		const { after, limit } = query;
		let found: readonly StoredTask[] = [];
		let above = after === undefined ? undefined : this.settings.orders.fromKey(after);
		do {
			const rest = { ...query, limit: limit - found.length };
			const part = await this.do(basket, "read", (session) => listPart(session, rest, above));
			found = [...found, ...part.found];
			above = part.above;
		} while (above !== undefined && found.length < limit);
		return found;
	}

	counts(basket: string): Promise<Counts> {
		return this.do(basket, "read", countAside);
	}

	delete(basket: string, ids: readonly string[]): Promise<readonly boolean[]> {
		return this.many(basket, "change", ids, remove);
	}

	change(basket: string, ids: readonly string[], what: Change): Promise<readonly boolean[]> {
		return this.many(basket, "change", ids, (session, some) => change(session, some, what));
	}

	async hasten(basket: string, within: number): Promise<number> {
		for (let count = 0;;) {
			const { looked, hastened } = await this.do(basket, "lease", (session) => hasten(session, within));
			count += hastened;
			if (looked === 0) return count;
		}
	}

	post(basket: string, id: string, data: Data): Promise<boolean> {
		return this.do(basket, "change", (session) => post(session, id, data));
	}

	protected async turnOnce(basket: string, turn: Turn): Promise<TurnResult> {
		try {
			return await this.#turnAndLook(basket, turn);
		} catch (error) {
			if (!isFull(error)) throw error;
			return await this.#turnWhenFull(basket, turn, error);
		}
	}

	/** A turn, in whose transaction the space may look for the owners of claims. */
	async #turnAndLook(basket: string, turn: Turn): Promise<TurnResult> {
		const { space } = this;
		let tell: (() => void) | undefined;
		const result = await this.do(basket, "change", function* (session): Work<TurnResult> {
			const result = yield* turnAtOnce(session, turn);
			const hear = space.seekOwners?.(basket, result);
			if (hear !== undefined) {
				const tokens = yield* findTokens();
				tell = () => hear(tokens);
			}
			return result;
		});
		tell?.();
		return result;
	}

	/** Does something to each item; to none if it cannot be done to all. */
	protected async many<T extends Item, R>(
		basket: string,
		purpose: Purpose,
		items: readonly T[],
		work: (session: Session, some: readonly T[]) => Work<readonly R[]>,
		tx?: Tx,
	): Promise<readonly R[]> {
		return await this.do(basket, purpose, (session) => work(session, items), tx);
	}

	protected async do<R>(basket: string, purpose: Purpose, work: (session: Session) => Work<R>, tx?: Tx): Promise<R> {
		return await this.space.transact(basket, (transaction) => this.begin(transaction).whole(work), { purpose, tx });
	}

	/** What the tokens made here have in common. */
	protected mark(): string | Promise<string> {
		return this.space.mark!();
	}

	protected begin(transaction: RecordTransaction): Session {
		return new Session(transaction, this.settings);
	}

	/** With a full disk, what only removes something comes first: that is possible. Claims are halved until they fit. */
	async #turnWhenFull(basket: string, turn: Turn, error: unknown): Promise<TurnResult> {
		const settled: boolean[] = [];
		const isRemoval = ({ outcome }: Settlement) => Number(outcome.type === "done" && !(outcome.retain! > 0));
		const inOrder = [...turn.settle.entries()].sort(([, a], [, b]) => isRemoval(b) - isRemoval(a));
		for (const [index, settlement] of inOrder) {
			[settled[index]] = await this.do(basket, "change", (session) => settle(session, [settlement])) as [boolean];
		}
		if (inOrder.length === 0 && !turn.claim.some(({ limit }) => limit > 1)) throw error;
		const share = inOrder.length > 0 ? 1 : 2;
		const claim = turn.claim.map(({ kinds, limit }) => ({ kinds, limit: Math.ceil(limit / share) }));
		return { ...await this.turnOnce(basket, { ...turn, settle: [], claim }), settled };
	}
}

/** Ends claims, removes what was kept long enough, lets lanes move up, and claims. */
function* turnAtOnce(session: Session, { settle: settlements, claim: requests, lease }: Turn): Work<TurnResult> {
	const settled = yield* settle(session, settlements, settlements.length + 10);
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

/** All kinds that are asked for. */
export function kindsOf(requests: readonly ClaimRequest[]): string[] {
	return requests.flatMap(({ kinds }) => kinds);
}

function isFull(error: unknown): boolean {
	return error instanceof StoreError && error.code === "full";
}
