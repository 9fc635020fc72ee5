/**
 * Payloads that a store copies by structured clone, instead of text or bytes.
 *
 * @module
 */

import type { Data } from "./claim.ts";

/** A payload that is stored as a value. Stores and their callers treat it like other {@link Data}. */
export interface ClonedData {
	/** The value. */
	readonly cloned: unknown;
	/** About how many bytes it takes. */
	readonly length: number;
	/** Differs from that of any other payload. */
	readonly mark: string;
}

/** Whether data is a value that a store copies by structured clone. */
export function isCloned(data: unknown): boolean {
	return typeof data === "object" && data !== null && "cloned" in data;
}

/** A text that differs if the data does. */
export function fingerprint(data: Data): string {
	return isCloned(data) ? (data as unknown as ClonedData).mark : String(data);
}
