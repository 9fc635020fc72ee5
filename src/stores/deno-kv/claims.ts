/**
 * Claims: finds what is due in the order in which it is to be run, and takes it.
 *
 * @module
 */

import type { Claim, ClaimRequest, Data, Message } from "../../basket/store.ts";
import { bury, moveUp, write } from "./change.ts";
import { isCommitted, mostItems } from "./commits.ts";
import { mostTries, pause } from "./database.ts";
import { Draft } from "./draft.ts";
import { isPlace } from "./places.ts";
import { type Hint, isDueUnder, isRecord, readRecord, taskKey, type TaskRecord, unpack } from "./record.ts";
import type { Entry, Space, Tail } from "./space.ts";

/** What a claim is made with. */
export interface ClaimTerms {
	readonly now: number;
	readonly lease: number;
	readonly nextToken: () => string;
}

/** Claims what is due. Only when others claim at the same time it begins somewhere behind the first one, out of their way. */
export async function claim(space: Space, { kinds, limit }: ClaimRequest, terms: ClaimTerms): Promise<Claim[]> {
	const claims: Claim[] = [];
	let most = mostItems;
	for (let tries = 0; claims.length < limit && tries < mostTries;) {
		const wanted = Math.min(limit - claims.length, most);
		const due = await findDue(space, kinds, terms.now, tries > 0 ? wanted * 4 : wanted);
		if (due.length === 0) break;
		const start = tries > 0 ? Math.floor(Math.random() * (Math.max(due.length - wanted, 0) + 1)) : 0;
		const draft = new Draft(space);
		const batch = due.slice(start, start + wanted);
		const made = await claimAll(draft, batch, terms);
		if (await isCommitted(draft, batch.length)) {
			for (const claim of made) claims.push(claim);
			tries = 0;
		} else {
			most = Math.max(1, batch.length >> 1);
			await pause(tries++);
		}
	}
	return claims;
}

/** When the first task of these kinds is due, or the lease of a running one ends; exactly only if that is after `now`. */
export async function findNext(space: Space, kinds: readonly string[], now: number): Promise<number> {
	const instants = await Promise.all(kinds.map(async (kind) => {
		let least = Infinity;
		let [first] = await space.all(["due", kind], { limit: 1 });
		while (first !== undefined) {
			least = Math.min(least, instantOf(first));
			if (least <= now) break;
			[first] = await space.all(["due", kind], { from: behindPriority(first), limit: 1 });
		}
		return least;
	}));
	return instants.reduce((least, instant) => Math.min(least, instant), Infinity);
}

async function findDue(space: Space, kinds: readonly string[], now: number, limit: number): Promise<Entry[]> {
	const batch = Math.ceil(limit / kinds.length) + 1;
	const rows = [...new Set(kinds)].map((kind) => dueOf(space, kind, now, batch));
	const heads = await Promise.all(rows.map(async (row) => ({ row, next: await row.next() })));
	const found: Entry[] = [];
	while (found.length < limit) {
		const open = heads.filter(({ next }) => !next.done);
		if (open.length === 0) break;
		const first = open.reduce((a, b) => isBefore(b.next.value!, a.next.value!) ? b : a);
		found.push(first.next.value!);
		first.next = await first.row.next();
	}
	return found;
}

/** What is due of one kind. Behind what is not due yet of one priority comes the next priority. */
async function* dueOf(space: Space, kind: string, now: number, batch: number): AsyncGenerator<Entry, undefined> {
	let from: Tail | undefined;
	do {
		const range = { from, batch };
		from = undefined;
		for await (const entry of space.list(["due", kind], range)) {
			if (instantOf(entry) <= now) yield entry;
			else {
				from = behindPriority(entry);
				break;
			}
		}
	} while (from !== undefined);
}

async function claimAll(draft: Draft, due: readonly Entry[], terms: ClaimTerms): Promise<Claim[]> {
	await draft.readAhead(due.map((entry) => taskKey(placeOf(entry))));
	const claims: Claim[] = [];
	for (const entry of due) {
		const made = await claimOne(draft, entry, terms);
		if (made !== undefined) claims.push(made);
	}
	return claims;
}

async function claimOne(draft: Draft, entry: Entry, terms: ClaimTerms): Promise<Claim | undefined> {
	const place = placeOf(entry);
	const value = await draft.readFirmly(taskKey(place));
	const hint = { kind: String(entry.tail[1]), ...Object(entry.value) as Hint };
	if (!isRecord(place, value) || !isDueUnder(value, entry.tail)) return await clear(draft, entry, hint, value);
	const payload = value.payload ?? unpack(await draft.read(["data", value.id]));
	if (payload === undefined) return await clear(draft, entry, hint, { ...value, id: undefined });
	return await begin(draft, value, payload, terms);
}

/** The key leads to nothing that can be claimed: it goes, and with it what cannot be read. */
async function clear(draft: Draft, entry: Entry, hint: Hint, value: unknown): Promise<undefined> {
	// Unless it is gone by now: the task may have been claimed and ended since it was listed.
	draft.expect(entry);
	draft.delete(entry.tail);
	const place = placeOf(entry);
	if (!isPlace(place)) return;
	if (value === undefined) {
		if (hint.lane !== undefined) await moveUp(draft, hint.lane);
	} else if (!isRecord(place, value)) await bury(draft, readRecord(place, value, hint));
	else write(draft, undefined, value); // it is to be found under other keys
}

async function begin(
	draft: Draft,
	before: TaskRecord,
	payload: Data,
	{ now, lease, nextToken }: ClaimTerms,
): Promise<Claim> {
	const crashed = before.state === "running" ? 1 : 0;
	const [attempts, crashes] = [before.attempts + crashed, before.crashes + crashed];
	// It begins with the place of the task, which saves looking for that.
	const token = before.place + nextToken();
	write(draft, before, { ...before, state: "running", token, attempts, crashes, dueAt: now + lease });
	const { id, kind, lane, priority, error, addedAt } = before;
	const inbox = await readInbox(draft.space, before);
	const age = now - addedAt;
	return { id, token, lane, kind, payload, attempts, crashes, priority, error, addedAt, age, inbox };
}

/** Messages that cannot be read are left out. */
export async function readInbox(space: Space, { id, seen, posted }: TaskRecord): Promise<Message[]> {
	if (seen === posted) return [];
	const entries = await space.all(["inbox", id], { from: ["inbox", id, seen + 1] });
	return entries.flatMap(({ tail, value }) => {
		const data = unpack(value);
		return data === undefined ? [] : [{ n: Number(tail[2]), data }];
	});
}

function isBefore({ tail: [, , priority, instant, place] }: Entry, { tail: other }: Entry): boolean {
	if (priority !== other[2]) return priority! < other[2]!;
	return instant! < other[3]! || (instant === other[3] && place! < other[4]!);
}

/** A key that is none of these is due at once, so that it is cleared away. */
function instantOf({ tail: [, , , instant] }: Entry): number {
	return typeof instant === "number" ? instant : -Infinity;
}

function placeOf({ tail }: Entry): string {
	return String(tail[4]);
}

function behindPriority({ tail: [name, kind, priority] }: Entry): Tail {
	return [name!, kind!, Number(priority) + 1];
}
