/**
 * `upkeep pause` and `resume`: stored pauses, which all processes heed.
 *
 * @module
 */

import type { Pauses, Store } from "../basket/store.ts";
import { type ExitCode, quote, type Request, type Terminal } from "./terminal.ts";
import { toJson } from "./text.ts";

/** Pauses or resumes a kind, or all kinds. A repeated call has no effect, and is no failure. */
export async function pause(
	store: Store,
	{ basket, command, kind }: Request,
	terminal: Terminal,
): Promise<ExitCode> {
	const isPaused = command === "pause";
	const isChanged = await store.pause(basket, kind, isPaused);
	const pauses = await store.pauses(basket);
	if (!terminal.isTable) await terminal.print(toJson({ kind, paused: isPaused, changed: isChanged, pauses }));
	else await terminal.print(describe(kind, isPaused, isChanged));
	const isKnown = (await store.list(basket, { kind, limit: 1 })).length > 0;
	// A pause of a misspelled name would stop nothing.
	if (isPaused && !isKnown) {
		const which = kind === undefined ? "" : ` of the kind ${quote(kind)}`;
		terminal.note(`There is no task${which} in the basket ${quote(basket)} now; the pause holds for later ones`);
	}
	if (!isPaused && pauses.all) terminal.note("All kinds are still paused; resume without a kind undoes that");
	if (!isPaused && kind === undefined && pauses.kinds.length > 0) {
		terminal.note(`Still paused by themselves: ${pauses.kinds.map(quote).join(", ")}`);
	}
	return 0;
}

function describe(kind: string | undefined, isPaused: boolean, isChanged: boolean): string {
	const [subject, verb] = kind === undefined ? ["All kinds", "are"] : [`The kind ${quote(kind)}`, "is"];
	const change = isPaused ? "paused" : "resumed";
	if (isChanged) return `${subject} ${verb} ${change}`;
	return `${subject} ${verb === "are" ? "were" : "was"} ${isPaused ? "paused already" : "not paused"}`;
}

/** What is paused, if anything is. */
export function pauseLines({ all, kinds }: Pauses): string[] {
	const lines = all ? ["All kinds are paused"] : [];
	if (kinds.length > 0) lines.push(`Paused: ${kinds.map(quote).join(", ")}`);
	return lines;
}
