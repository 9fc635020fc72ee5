// Checks how long a process with a free slot may leave a due task waiting.
import type { BasketProcess } from "./basket-process.ts";
import type { BasketWorld } from "./basket-world.ts";
import { offer, recovery } from "./excuses.ts";
import { describe, type Entry } from "./ledger.ts";

/**
 * The time for which other tasks wait for a task that must run alone: first for the end of quick tasks, then for an
 * offer.
 */
const longestQuiet = 1_000 + offer;
/** The longest time between two checks of the store by a worker, because the clock may have been set. */
const longestSleep = 61_000;
/** A worker wakes within a millisecond of the due time. */
const moment = 2;

/** Records when the process was last busy, and checks that it does not stay idle while a task could run. */
export function checkWaiting(world: BasketWorld, process: BasketProcess, active: number, isAloneHere: boolean): void {
	const { clock, ledger, jumpedAt } = world;
	const now = clock.monotonic();
	if (active >= process.concurrency || isAloneHere) return void (process.busyAt = now);
	const wellAt = Math.max(process.disturbedAt, process.frozenAt) + recovery(process);
	const free = now - Math.max(process.busyAt, wellAt, jumpedAt + longestSleep);
	if (free <= longestQuiet + moment) return;
	const left = ledger.findClaimable(
		process,
		(entry) =>
			!isSuspect(entry) && ledger.dueFor(process, entry) > longestQuiet + moment && world.isKnown(process, entry),
	);
	if (left !== undefined) world.fail(`${process.name} has a free slot for ${free} ms, and ${describe(left)} waits`);
}

function isSuspect({ crashes, state }: Entry): boolean {
	return crashes + (state === "running" ? 1 : 0) >= 2;
}
