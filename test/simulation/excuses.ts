// What a claim is excused for, each time by name: what has happened to it must be allowed by what has gone wrong.
import type { ClaimRecord, Owner } from "./ledger.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

/** For how long a worker that stops waits for calls that are under way when its grace is over. */
export const lastMoment = 1_000;
/** For how long it claims nothing when it has given back what must run alone, so that others can. */
export const offer = 100;
/** The longest delay of the engine before it tries a call of the store again. */
export const longestRetry = 30_000;

/** For so long after its line was well again a process may be busy with what went wrong. */
export function recovery({ lease }: Process): number {
	return longestRetry + lease;
}

/** Whether the lease may be over by what its owner knows, or did before this moment. */
export function isOverFor({ learnedAt, knownBefore, knownUntil, overAt }: ClaimRecord, now: number): boolean {
	return overAt < Infinity || (learnedAt === now ? knownBefore : knownUntil) <= now;
}

/** Whether its owner was told so late that it may have given up the call which asked for it. */
export function isLate({ owner, askedAt, toldAt }: ClaimRecord): boolean {
	return toldAt >= askedAt + (owner as Process).lease / 3;
}

/** Why nobody could keep the lease from being over earlier than its owner has known; `undefined`: somebody could. */
export function excuseForSurprise(world: World, { owner, claimedAt, extendedAt }: ClaimRecord): string | undefined {
	const process = owner as Process;
	if (process.isFrozen || process.frozenAt >= claimedAt) return "its process was frozen";
	return world.jumpedAt >= extendedAt ? "the clock was set" : undefined;
}

/** Why a task may be claimed as crashed although its process lives; `undefined`: it may not. */
export function excuseForCrash(world: World, record: ClaimRecord, next: Owner): string | undefined {
	const process = record.owner as Process;
	const { lease, renewalDisturbedAt, turnDisturbedAt, lateTurnUntil } = process;
	const { askedAt, toldAt, safeUntil, isLeftBehind } = record;
	const now = world.clock.monotonic();
	if (!process.isAlive) return "its process has died";
	const surprise = excuseForSurprise(world, record);
	if (surprise !== undefined) return surprise;
	if (toldAt === Infinity) return "its process was never told of it";
	if (isLeftBehind) return "its process has stopped, and could not say so";
	// Whoever knows that a lease is over gives the claim back before it asks for more.
	// What is being completed is not given back: nobody knows whether it is committed.
	if (next === process && !record.wasCompleting) {
		return lateTurnUntil >= now ? "it was asked for before that was known" : undefined;
	}
	if (now > Math.max(safeUntil, turnDisturbedAt) + recovery(process)) return undefined;
	// A renewal that fails, or is given up after a third of the lease, leaves time for another one.
	const hasTried = record.wasCompleting
		? record.tries >= 2
		: process.renewalSentAt >= Math.min(safeUntil, record.knownUntil, record.overAt) - lease / 2;
	if (hasTried && renewalDisturbedAt >= safeUntil - lease) return "its lease could not be renewed";
	return toldAt >= askedAt + lease / 3 ? "its process was told too late to renew it" : undefined;
}

/** Why a process that has stopped may hold a claim; `undefined`: it may not. */
export function excuseForKeeping(world: World, record: ClaimRecord): string | undefined {
	const { stoppedAt, graceEndsAt, turnDisturbedAt, renewalDisturbedAt, frozenAt, isInVain } = record.owner as Process;
	const now = world.clock.monotonic();
	const since = stoppedAt === -Infinity ? now : stoppedAt;
	if (record.toldAt === Infinity) return "it was never told of it";
	if (record.isLeftBehind) return "it was left behind before";
	if (record.knownUntil <= now) return "its lease is over by what it knows";
	if (turnDisturbedAt >= since) return "the store could not be told";
	if (isInVain) return "the store has not answered for long";
	if (frozenAt >= since) return "it was frozen meanwhile";
	if (!record.wasCompleting) return undefined;
	if (record.endedAt >= graceEndsAt) return "its run goes on, and may commit it";
	return renewalDisturbedAt >= record.endedAt ? "it could not be asked what its transaction has come to" : undefined;
}
