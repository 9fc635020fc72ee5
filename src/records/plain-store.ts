/**
 * A store over rows for the simplest spaces. The support for other spaces is in `recordStore`, so that a page does
 * not have to load it.
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
	LogEntry,
	LogRead,
	Message,
	NewTask,
	Pauses,
	Ref,
	Save,
	Settlement,
	Store,
	StoreCapabilities,
	StoredTask,
	Turn,
	TurnResult,
} from "../basket/store.ts";
import { inParts } from "../basket/in-parts.ts";
import { codeOf } from "../platform/store-error.ts";
import { add } from "./adding.ts";
import { change, hasten, post, remove } from "./changing.ts";
import { claim, findNext } from "./claiming.ts";
import { limitsOf } from "./gate-queue.ts";
import { countAside, listPart, look } from "./looking.ts";
import { readLogs } from "./logs.ts";
import { counted, type Orders } from "./orders.ts";
import { Session, type Settings } from "./session.ts";
import { findTokens } from "./owning.ts";
import { pause, readPauses, withoutPaused } from "./pausing.ts";
import { closeBasket, openBasket, putBack } from "./overall.ts";
import { extend, save, settle } from "./settling.ts";
import type { Purpose, RecordSpace, RecordTransaction, Work } from "./space.ts";

/** The items of batched calls: tasks by id, or claims. */
export type Item = string | Ref | { readonly ref: Ref };

/**
 * A store over a space that runs one transaction at a time, of any size, that maintains its indexes, has no limits,
 * removes rows by the beginning of their keys, and identifies the owners of claims.
 */
export class PlainStore<Tx> implements Store<Tx> {
	readonly capabilities: StoreCapabilities;
	readonly watch?: NonNullable<Store<Tx>["watch"]>;
	protected readonly space: RecordSpace<Tx>;
	protected readonly settings: Settings;
	#mark = "";
	/** The number of created tokens. Together with the mark, it makes each token unique. */
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

	log(basket: string, reads: readonly LogRead[]): Promise<readonly (readonly LogEntry[] | undefined)[]> {
		return this.do(basket, "read", (session) => readLogs(session, reads));
	}

	get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		return this.do(basket, "read", (session) => look(session, id));
	}

	async list(basket: string, query: ListQuery): Promise<readonly StoredTask[]> {
		const { after, limit } = query;
		let found: readonly StoredTask[] = [];
		let behind = after === undefined ? undefined : this.settings.orders.fromKey(after);
		let isMore = false;
		do {
			const rest = { ...query, limit: limit - found.length };
			const part = await this.do(basket, "read", (session) => listPart(session, rest, behind, isMore));
			isMore = true;
			found = [...found, ...part.found];
			behind = part.behind;
		} while (behind !== undefined && found.length < limit);
		return found;
	}

	counts(basket: string): Promise<Counts> {
		return this.do(basket, "read", countAside);
	}

	delete(basket: string, ids: readonly string[], tx?: Tx): Promise<readonly boolean[]> {
		return this.many(basket, "change", ids, remove, tx);
	}

	change(basket: string, ids: readonly string[], what: Change, tx?: Tx): Promise<readonly boolean[]> {
		return this.many(basket, "change", ids, (session, some) => change(session, some, what), tx);
	}

	pause(basket: string, kind: string | undefined, isPaused: boolean): Promise<boolean> {
		return this.do(basket, "change", (session) => pause(session, kind, isPaused));
	}

	pauses(basket: string): Promise<Pauses> {
		return this.do(basket, "read", readPauses);
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
			if (codeOf(error) !== "full") throw error;
			return await this.#turnWhenFull(basket, turn, error);
		}
	}

	/** Makes a turn, in whose transaction the space may look for the owners of claims. */
	async #turnAndLook(basket: string, turn: Turn): Promise<TurnResult> {
		const { space } = this;
		let tell: (() => Promise<boolean>) | undefined;
		const result = await this.do(basket, "change", function* (session): Work<TurnResult> {
			const result = yield* turnAtOnce(session, turn);
			const hear = space.seekOwners?.(basket, result);
			if (hear !== undefined) {
				const tokens = yield* findTokens();
				tell = () => hear(tokens);
			}
			return result;
		});
		return await tell?.() ? { ...result, dueIn: 0 } : result;
	}

	/** Applies a work to all items or to none. */
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

	/** The common part of the tokens of this store. */
	protected mark(): string | Promise<string> {
		return this.space.mark!();
	}

	protected begin(transaction: RecordTransaction): Session {
		return new Session(transaction, this.settings);
	}

	/** On a full disk, removals come first, because these are possible. Claims are halved until they fit. */
	async #turnWhenFull(basket: string, turn: Turn, error: unknown): Promise<TurnResult> {
		const settled: boolean[] = [];
		const isRemoval = ({ outcome }: Settlement) => Number(outcome.type === "done" && !(outcome.retain! > 0));
		const places = inParts(turn.settle, ({ token }) => this.settings.orders.parse(token));
		const inOrder = places.map((place) => [place, turn.settle[place]!] as const)
			.sort(([, a], [, b]) => isRemoval(b) - isRemoval(a));
		for (const [place, settlement] of inOrder) {
			[settled[place]] = await this.do(basket, "change", (session) => settle(session, [settlement])) as [boolean];
		}
		const mayClaimFewer = turn.runs !== undefined || turn.claim.some(({ limit }) => limit > 1);
		if (inOrder.length === 0 && !mayClaimFewer) throw error;
		const share = inOrder.length > 0 ? 1 : 2;
		const claim = turn.claim.map(({ kinds, limit }) => ({ kinds, limit: Math.ceil(limit / share) }));
		try {
			return { ...await this.turnOnce(basket, { ...turn, settle: [], claim, runs: undefined }), settled };
		} catch (error) {
			// What is settled must be known. The next turn finds out that nothing can be claimed.
			if (inOrder.length === 0 || codeOf(error) !== "full") throw error;
			return { settled, claims: [], dueIn: 0 };
		}
	}
}

/** Settles claims, removes done tasks whose retention has ended, promotes lanes, and claims tasks. */
function* turnAtOnce(session: Session, turn: Turn): Work<TurnResult> {
	const { settle: settlements, claim: requested, lease, runs, overall, worker } = turn;
	const settled = yield* settle(session, settlements, settlements.length + 10);
	yield* session.promote();
	const requests = withoutPaused(requested, session.paused);
	const limits = limitsOf(turn.limits, [...session.gated, ...session.marks.kinds]);
	if (overall !== undefined) yield* putBack(session, overall, Infinity);
	const gate = overall && (yield* openBasket(session, overall));
	session.isCounted = gate && true;
	const claims: Claim[] = [];
	let dueIn = Infinity;
	for (const request of requests) {
		const part = yield* claim(
			session,
			request,
			{ lease, runs, worker, left: gate && gate.left - claims.length },
			limits,
		);
		for (const one of part.claims) claims.push(one);
		dueIn = part.dueIn;
	}
	// A task that exceeded the limit of one request may have been claimed by another one.
	if (requests.length > 1) dueIn = yield* findNext(session, kindsOf(requests), limits);
	if (gate !== undefined) dueIn = closeBasket(session, gate, claims.length, dueIn, lease);
	return { settled, claims, dueIn };
}

/** All requested kinds. */
export function kindsOf(requests: readonly ClaimRequest[]): string[] {
	return requests.flatMap(({ kinds }) => kinds);
}
