// How long a process with a free slot may leave something that is due.
import type { BasketProcess } from "./basket-process.ts";
import type { BasketWorld } from "./basket-world.ts";
import { offer, recovery } from "./excuses.ts";
import { describe, type Entry } from "./ledger.ts";

/** For how long others wait for the sake of what must run alone: so that what is quick comes to an end, then for an offer. */
const longestQuiet = 1_000 + offer;
/** A worker looks at its store after so long whatever it was told, as the clock may have been set. */
const longestSleep = 61_000;
/** For what is due a worker wakes within a millisecond. */
const moment = 2;

/** Keeps in mind when the process was busy last, and that it does not stay free beside something that it could run. */
export function checkWaiting(world: BasketWorld, process: BasketProcess, active: number, isAloneHere: boolean): void {
	const { clock, ledger, jumpedAt } = world;
	const now = clock.monotonic();
	if (active >= process.concurrency || isAloneHere) return void (process.busyAt = now);
	const wellAt = Math.max(process.disturbedAt, process.frozenAt) + recovery(process);
	const free = now - Math.max(process.busyAt, wellAt, jumpedAt + longestSleep);
	if (free <= longestQuiet + moment) return;
	const left = ledger.findClaimable((entry) =>
		!isSuspect(entry) && ledger.dueFor(entry) > longestQuiet + moment && world.isKnown(process, entry)
	);
	if (left !== undefined) world.fail(`${process.name} has a free slot for ${free} ms, and ${describe(left)} waits`);
}

function isSuspect({ crashes, state }: Entry): boolean {
	return crashes + (state === "running" ? 1 : 0) >= 2;
}
