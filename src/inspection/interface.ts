/**
 * The interface between an inspector and what it inspects: {@link Inspection}.
 *
 * @module
 */

import type {
	InspectedDetail,
	InspectionAction,
	InspectionChange,
	InspectionOverview,
	InspectionPage,
	InspectionQuery,
	InspectionSource,
} from "./records.ts";

/** What an inspector shows and changes. All arguments and results are JSON. */
export interface Inspection {
	/** Gets the counts, pauses, kinds and schedules, and what is allowed. */
	overview(): Promise<InspectionOverview>;
	/**
	 * Lists tasks, page by page. It reads only what it shows; with `text` or `status`, at most 1,000 tasks.
	 *
	 * @throws {TypeError | RangeError} (as a rejection) for a query of the wrong type or out of range
	 */
	list(query?: InspectionQuery): Promise<InspectionPage>;
	/**
	 * Gets a task or a job.
	 *
	 * @returns `undefined` if there is none with this id
	 * @throws {TypeError | RangeError} (as a rejection) for an id that no task can have
	 */
	get(id: string, source?: InspectionSource): Promise<InspectedDetail | undefined>;
	/**
	 * Changes something.
	 *
	 * @returns how many tasks were changed: 0 if the change does not apply; of `pause` and `resume`, 1 if it is new
	 * @throws {TypeError | RangeError} (as a rejection) for an action of the wrong type or out of range
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if it would remove a half-done job without `halfDone`
	 */
	act(action: InspectionAction): Promise<{ readonly changed: number }>;
	/**
	 * Calls the listener at once when the counts are known, soon after each change, at most twice a second, and at the latest
	 * every five seconds, until the returned function is called. Changes by other processes are noticed within five seconds.
	 *
	 * @param listener called with the counts, and whether what is shown should be read again
	 * @param onError called when the source cannot be read; the watch goes on
	 */
	watch(listener: (change: InspectionChange) => void, onError?: (error: unknown) => void): () => void;
}
