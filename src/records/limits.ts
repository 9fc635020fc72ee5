/**
 * What fits into a space with limits.
 *
 * @module
 */

import type { Data, LogPart } from "../basket/store.ts";
import type { RecordLimits } from "./space.ts";

/** The size in bytes of UTF-8 or of the array. */
export function sizeOf(data: Data): number {
	return typeof data === "string" ? new TextEncoder().encode(data).length : data.length;
}

/** Why entries cannot be appended together, if they cannot. */
export function problemOf({ entries }: LogPart, limits: RecordLimits = {}): string | undefined {
	const { payload: largest = Infinity, sizeOf: measure = sizeOf, entries: most = Infinity } = limits;
	if (entries.length > most) return `"log" has ${entries.length} entries: ${most} is the most`;
	if (largest === Infinity) return undefined;
	const sizes = entries.map(measure);
	const tooLong = sizes.find((size) => size > largest);
	if (tooLong !== undefined) return `"log" has an entry of ${tooLong} bytes: ${largest} is the most`;
	const { appended = largest } = limits;
	const size = sizes.reduce((sum, one) => sum + one, 0);
	return size > appended ? `"log" has entries of ${size} bytes: ${appended} is the most` : undefined;
}
