// The named excuses of claims: only a fault may excuse an unusual event of a claim.
import type { ClaimRecord, Owner } from "./ledger.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

/** The time for which a stopping worker waits for pending calls after its grace period. */
export const lastMoment = 1_000;
/**
 * The time for which a worker claims nothing after it has released a task that must run alone, so that others can
 * claim it.
 */
export const offer = 100;
/** The longest delay before the engine retries a store call. */
export const longestRetry = 30_000;

/** Returns the time that a process may need to recover after its line is repaired. */
export function recovery({ lease }: Process): number {
	return longestRetry + lease;
}

/** Whether the lease may have ended as far as its owner knows, or knew just before. */
export function isOverFor({ learnedAt, knownBefore, knownUntil, overAt }: ClaimRecord, now: number): boolean {
	return overAt < Infinity || (learnedAt === now ? knownBefore : knownUntil) <= now;
}

/** Whether the owner received the claim so late that it may have abandoned the call. */
export function isLate({ owner, askedAt, toldAt }: ClaimRecord): boolean {
	return toldAt >= askedAt + (owner as Process).lease / 3;
}

/** Returns the reason why the lease could end earlier than its owner knew; `undefined` if there is none. */
export function excuseForSurprise(world: World, { owner, claimedAt, extendedAt }: ClaimRecord): string | undefined {
	const process = owner as Process;
	if (process.isFrozen || process.frozenAt >= claimedAt) return "its process was frozen";
	return world.jumpedAt >= extendedAt ? "the clock was set" : undefined;
}

/** Returns the reason why a task may be claimed as crashed although its process is alive; `undefined` if there is none. */
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
	// A process that knows that a lease has ended releases the claim before it claims more tasks. A task that is being
	// completed is not released, because its commit is unknown.
	if (next === process && !record.wasCompleting) {
		return lateTurnUntil >= now ? "it was asked for before that was known" : undefined;
	}
	if (now > Math.max(safeUntil, turnDisturbedAt) + recovery(process)) return undefined;
	// A renewal that fails, or is abandoned after a third of the lease, leaves time for another renewal.
	const hasTried = record.wasCompleting
		? record.tries >= 2
		: process.renewalSentAt >= Math.min(safeUntil, record.knownUntil, record.overAt) - lease / 2;
	if (hasTried && renewalDisturbedAt >= safeUntil - lease) return "its lease could not be renewed";
	return toldAt >= askedAt + lease / 3 ? "its process was told too late to renew it" : undefined;
}

/** Returns the reason why a stopped process may hold a claim; `undefined` if there is none. */
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
