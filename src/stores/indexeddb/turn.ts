/**
 * What a worker does with claims: takes them, keeps them, saves to them and ends them.
 *
 * @module
 */

import type {
	Claim,
	ClaimRequest,
	Done,
	Message,
	Outcome,
	Ref,
	Save,
	Settlement,
	Turn,
	TurnResult,
} from "../../basket/store.ts";
import { DueTasks } from "./due.ts";
import { ownerOf } from "./owners.ts";
import { assign, idOf, isExpired, isReadable, sound, type TaskRecord, toClaim } from "./record.ts";
import { keysOf, type Session } from "./session.ts";

/** Ends claims, lets lanes move up, removes what was kept long enough, and claims. */
export async function turn(session: Session, turn: Turn, makeToken: (seq: number) => string): Promise<TurnResult> {
	const { settle, claim, lease } = turn;
	const [settled] = await Promise.all([end(session, settle), removeKept(session, settle.length + 10)]);
	await session.promote();
	const claims: Claim[] = [];
	let nextAt = Infinity;
	for (const request of claim) nextAt = await take(session, request, lease, makeToken, claims);
	// What was over the limit of one request may have been taken by another.
	if (claim.length > 1) nextAt = await firstAt(session, claim.flatMap(({ kinds }) => kinds));
	await session.promote(); // behind those that could not be read
	return { settled, claims, dueIn: Math.max(0, nextAt - session.now) };
}

/** Ends a claim inside the caller's transaction. */
export async function complete(session: Session, ref: Ref, done: Done): Promise<boolean> {
	const [ended] = await end(session, [{ ref, outcome: done }]);
	await session.promote();
	return ended!;
}

/** Makes leases end later. */
export async function extend(
	session: Session,
	refs: readonly Ref[],
	lease: number,
): Promise<readonly ("ok" | "lost" | "posted")[]> {
	const records = await readClaims(session, refs);
	return records.map((record) => {
		if (record === undefined) return "lost";
		record.dueAt = session.now + lease;
		session.put(record);
		return record.inbox ? "posted" : "ok";
	});
}

/** Changes payloads, progress and inboxes of claims. */
export async function save(session: Session, saves: readonly Save[]): Promise<readonly boolean[]> {
	const records = await readClaims(session, saves.map(({ ref }) => ref));
	return records.map((record, index) => {
		if (record === undefined) return false;
		const { payload, progress = record.progress, seen } = saves[index]!;
		if (payload !== undefined) session.setPayload(record, payload);
		assign(record, "progress", progress);
		if (seen !== undefined) removeMessages(record, seen);
		session.put(record);
		return true;
	});
}

/** The owners of all claims, as far as they have locks. */
export async function findOwners(session: Session): Promise<string[]> {
	const owners = (await readRunning(session)).map(({ token }) => ownerOf(token));
	return [...new Set(owners.filter((owner) => owner !== undefined))];
}

/** Ends the leases of an owner. */
export async function expire(session: Session, owner: string): Promise<void> {
	for (const record of await readRunning(session)) {
		if (ownerOf(record.token) !== owner) continue;
		record.dueAt = session.now;
		session.put(record);
		session.wakes = true;
	}
}

async function readRunning(session: Session): Promise<TaskRecord[]> {
	const records = await session.readAll(session.index("aside"), keysOf(session.basket, "running"));
	return records.filter(({ state }) => state === "running");
}

/** For each claim its record, if it is not lost; the same one for the same claim. */
async function readClaims(session: Session, refs: readonly Ref[]): Promise<(TaskRecord | undefined)[]> {
	const near = await session.readNear(refs.map(({ token }) => Number.parseInt(token)));
	const running = new Map(near.map((record) => [record.state === "running" ? record.token : undefined, record]));
	return refs.map(({ id, token }) => {
		const record = running.get(token);
		return record && idOf(record) === id ? record : undefined;
	});
}

async function removeKept(session: Session, limit: number): Promise<void> {
	const { basket, now } = session;
	const over = await session.readAll(session.index("kept"), IDBKeyRange.bound([basket], [basket, now]), limit);
	// What somebody else has written may be a task that is not over at all.
	for (const record of over) if (!isExpired(sound(record, now), now)) session.bury(record);
	session.remove(over.filter((record) => isExpired(sound(record, now), now)));
}

/** @returns for each whether the claim was not lost */
async function end(session: Session, settlements: readonly Settlement[]): Promise<boolean[]> {
	const records = await readClaims(session, settlements.map(({ ref }) => ref));
	const gone: TaskRecord[] = [];
	const ended = records.map((record, index) => {
		if (record === undefined) return false;
		const { outcome } = settlements[index]!;
		if (outcome.type === "done" || outcome.type === "dead") session.free(record.lane);
		if (outcome.type === "done" && !(outcome.keep! > 0)) gone.push(record);
		else session.put(settle(session, record, outcome));
		session.wakes ||= outcome.type === "release";
		return true;
	});
	session.remove(gone);
	return ended;
}

function settle(session: Session, record: TaskRecord, outcome: Outcome): TaskRecord {
	const { type, payload } = outcome;
	const { now } = session;
	delete record.token;
	assign(record, "backoff", (outcome as Extract<Outcome, { type: "later" }>).backoff || undefined);
	if (type === "release") record.dueAt = now;
	if (payload !== undefined) session.setPayload(record, payload);
	if (type === "retry" || type === "dead") {
		record.attempts = outcome.attempts;
		record.error = outcome.error;
	}
	if (type === "done") record.dueAt = now + outcome.keep!;
	else if (type === "dead") delete record.dueAt;
	else if (type === "retry") {
		record.crashes = 0;
		record.dueAt = now + outcome.delay;
		if (outcome.hold) record.hold = true;
	} else if (type === "later") sendAway(record, outcome.delay, outcome.seen, now);
	record.state = type === "done" || type === "dead" ? type : record.hold ? "held" : "waiting";
	delete record.hold;
	return record;
}

function sendAway(record: TaskRecord, delay: number | null, seen: number, now: number): void {
	record.attempts = record.crashes = 0;
	removeMessages(record, seen);
	if (record.inbox) delay = 0;
	assign(record, "dueAt", delay === null ? undefined : now + delay);
}

function removeMessages(record: TaskRecord, seen: number): void {
	const rest: Message[] | undefined = record.inbox?.filter(({ n }) => n > seen);
	assign(record, "inbox", rest?.length ? rest : undefined);
}

/** @returns when the next one is due */
async function take(
	session: Session,
	{ kinds, limit }: ClaimRequest,
	lease: number,
	makeToken: (seq: number) => string,
	claims: Claim[],
): Promise<number> {
	const due = new DueTasks(session, kinds);
	// One more than wanted: whether there is one decides when to ask again.
	for (let wanted = limit + 1; wanted > 0; wanted--) {
		const { record, payload } = await due.next(wanted) ?? {};
		if (record === undefined) return wanted > limit ? due.nextAt : Math.min(due.nextAt, session.now + lease);
		if (wanted === 1) break;
		if (record.state === "dead" || payload === undefined || !isReadable(record)) session.bury(record);
		else claims.push(toClaim(claimOne(session, record, lease, makeToken), payload, session.now));
	}
	return session.now;
}

/** When the first task of these kinds is due. */
async function firstAt(session: Session, kinds: readonly string[]): Promise<number> {
	const due = new DueTasks(session, kinds);
	return await due.next(1) === undefined ? due.nextAt : session.now;
}

function claimOne(session: Session, record: TaskRecord, lease: number, makeToken: (seq: number) => string): TaskRecord {
	if (record.state === "running") {
		record.attempts++;
		record.crashes++;
	}
	record.state = "running";
	record.token = makeToken(record.seq);
	record.dueAt = session.now + lease;
	delete record.backoff;
	session.put(record);
	return record;
}
