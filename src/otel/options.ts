/**
 * The options of `otel()`.
 *
 * @module
 */

import type { OtelContexts, OtelMetrics, OtelPropagation, OtelTrace } from "./api.ts";

/** Options for `otel`: objects of `@opentelemetry/api`. */
export interface OtelOptions {
	/** Makes the spans. */
	trace: OtelTrace;
	/** Makes the instruments. Set its provider before: the API does not wait for a later one. */
	metrics: OtelMetrics;
	/** Writes the trace context into the `meta` of a task, and reads it from there. */
	propagation: OtelPropagation;
	/**
	 * Tells the active context. Give it if you use baggage or other values of contexts: without it, they neither travel with
	 * tasks nor reach their functions, and only the active span does. @default none
	 */
	context?: OtelContexts | undefined;
	/**
	 * The parent of an attempt, which is linked to the span that has added its task in any case:
	 *
	 * - `"none"`: the span in which `run` or `drain` was called, if there is one; otherwise the attempt has a trace of its own;
	 * - `"first"`: the first attempt of a task, or of a step, is a child of the span that has added it, so that one trace shows
	 *   both. For retries, which may be hours later, and for batches, it is the same as `"none"`.
	 *
	 * @default "none"
	 */
	parent?: "none" | "first" | undefined;
}
