/**
 * Decides what a claim of a schedule stands for, and when the next tick is due.
 *
 * A claim is *early* if its task was made due by hand (`retry`): then the function is called with the present as its
 * instant, and the stored instant stays. It is *late* if it begins more than a minute after its instant.
 *
 * @module
 */

import type { AloneTask, Tick, TickHost, TickOutcome } from "./ticks.ts";
import { type Envelope, openEnvelope, pack, sealEnvelope, unpack } from "./envelope.ts";
import { firstAfter, type Instants, lastUntil } from "./instants.ts";

/** A tick that begins later than this after its instant is missed, in milliseconds. */
const lateness = 60_000;
/**
 * A claim that is less than this too early was not made due by hand: clocks of machines differ, and drift during a run.
 * It waits for its instant.
 */
const tolerance = 5_000;

/** See `Ticks.begin`. */
export async function beginTick(
	instants: Instants,
	envelope: Envelope,
	host: TickHost,
): Promise<Tick | TickOutcome> {
	const { claim } = host;
	if (envelope.of !== undefined) return await beginAlone(instants, { ...envelope, of: envelope.of }, host);
	const plan = planOf(instants, envelope, claim, host.now());
	const seen = claim.inbox.at(-1)?.n ?? 0;
	if (plan === undefined) return { type: "done" };
	if (!("due" in plan)) return { ...plan, seen };
	const { decided } = plan;
	// Each attempt has the same instant, also after a crash.
	if (decided !== undefined && !(await host.decide(decided))) return { type: "release", delay: 5_000 };
	const end = (): TickOutcome | undefined => {
		const next = plan.after(host.now());
		return next && { ...next, seen };
	};
	if (envelope.overlaps === undefined) return { ...plan, isAlone: false, end };
	// Before the next instant is stored: then a crash in between adds the same one again, which changes nothing.
	const isAdded = await host.add(toAlone(envelope, host, plan));
	return isAdded ? end() ?? { type: "done" } : { type: "release", delay: 5_000 };
}

/** The tick as a task of its own. */
function toAlone({ text, missed }: Envelope, { claim }: TickHost, tick: Plan): AloneTask {
	const { id: of, kind, priority, limitKey } = claim;
	const { due, missed: count } = tick;
	const sealed = { text, due, missed, spread: 0, isDeclared: false, count, payload: pack(tick.payload), of };
	return { id: `${of}@${due}`, kind, priority, limitKey, payload: sealEnvelope(sealed), delay: 0 };
}

/**
 * Begins a tick that is a task of its own, once its schedule has stored a later instant: until then the schedule may add
 * it again after a crash, and must find it.
 */
async function beginAlone(
	instants: Instants,
	envelope: Envelope & { readonly of: string },
	host: TickHost,
): Promise<Tick | TickOutcome> {
	const found = await host.get(envelope.of);
	const { state = "done", payload = "" } = found?.task ?? {};
	const schedule = state === "done" || state === "dead" ? undefined : openEnvelope(payload);
	if (found === undefined || schedule !== undefined && schedule.due <= envelope.due) {
		// Mostly the schedule is about to store it.
		return { type: "release", delay: Math.min(1_000, Math.max(50, host.now() - envelope.due)) };
	}
	return { ...tickOf(instants, envelope, envelope, 0), isAlone: true, end: () => undefined };
}

/** A tick that is to begin. */
interface Plan extends Omit<Tick, "end" | "isAlone"> {
	/** What must be stored before the function is called. */
	readonly decided: string | undefined;
	/** The next tick; `undefined` if there is none. */
	after(now: number): Pause | undefined;
}

/** Nothing is run until a delay has passed. */
interface Pause {
	readonly type: "later";
	readonly delay: number;
	readonly payload: string;
}

function planOf(
	instants: Instants,
	envelope: Envelope,
	claim: TickHost["claim"],
	now: number,
): Plan | Pause | undefined {
	const { due, count, missed } = envelope;
	const delay = spreadOf(claim.id, envelope.spread);
	const early = due + delay - now;
	// Another attempt of a tick has the same instant, however late it is.
	const isFirst = claim.attempts === 0;
	if (isFirst && early > 0 && (early <= tolerance || claim.inbox.length > 0)) return pauseUntil(envelope, delay, now);
	if (early > 0) return tickOf(instants, envelope, envelope, delay, now);
	const until = now - delay;
	if (!isFirst || -early <= (typeof missed === "number" ? missed : lateness)) {
		const isMissed = isFirst && -early > lateness && count === 0;
		return tickOf(instants, envelope, isMissed ? { ...envelope, count: 1 } : envelope, delay);
	}
	if (missed === "all") return tickOf(instants, envelope, { ...envelope, count: 1 }, delay);
	if (missed === "once") {
		const found = lastUntil(instants, due, until);
		return tickOf(instants, envelope, { ...envelope, due: found.last, count: (count || 1) + found.count }, delay);
	}
	// Those that are still worth running, or those that are to come.
	const next = firstAfter(instants, due, missed === "skip" ? until : until - missed - 1);
	if (next === undefined) return undefined;
	const then = { ...envelope, due: next, count: 0, work: undefined };
	if (next > until) return pauseUntil(then, delay, now);
	return tickOf(instants, envelope, { ...then, count: until - next > lateness ? 1 : 0 }, delay);
}

/** @param now the present, if it is the instant of the tick */
function tickOf(instants: Instants, stored: Envelope, envelope: Envelope, delay: number, now?: number): Plan {
	const { due, count, payload, work } = envelope;
	const isDecided = due === stored.due && count === stored.count;
	return {
		due: now ?? due,
		missed: now === undefined ? count : 0,
		payload: unpack(work ?? payload),
		decided: isDecided ? undefined : sealEnvelope(envelope),
		seal(data) {
			const left = pack(data);
			const isUnchanged = JSON.stringify(left) === JSON.stringify(payload);
			return sealEnvelope({ ...envelope, work: isUnchanged ? undefined : left });
		},
		after(present) {
			const next = now === undefined ? firstAfter(instants, due, due) : due;
			if (next === undefined) return undefined;
			const rest = now === undefined ? 0 : count;
			return pauseUntil({ ...envelope, due: next, count: rest, work: undefined }, delay, present);
		},
	};
}

function pauseUntil(envelope: Envelope, delay: number, now: number): Pause {
	return { type: "later", delay: Math.max(0, Math.ceil(envelope.due + delay - now)), payload: sealEnvelope(envelope) };
}

/** How much later than its instants a schedule is due: the same in each process, and never random. */
export function spreadOf(id: string, spread: number): number {
	if (spread === 0) return 0;
	let hash = 0x811c9dc5; // FNV-1a
	for (let index = 0; index < id.length; index++) hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
	// Without this, names that differ in the last character only are close together.
	hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
	return ((hash ^ hash >>> 13) >>> 0) % spread;
}
