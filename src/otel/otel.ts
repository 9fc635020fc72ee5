/**
 * Spans and metrics for OpenTelemetry: those of its semantic conventions for messaging, version 1.44.
 *
 * Use {@link otel} if your service has OpenTelemetry. For metrics and logs without it, write an `observer` of your own; for a
 * look at the tasks of one basket, `list` and `get` show the last attempts of each.
 *
 * @module
 */

import type { OtelOptions } from "./options.ts";
import { hooksOf } from "./hooks.ts";
import { observer } from "../observer/observer.ts";
import type { Observer } from "../run/observer.ts";
import { check, checkMethods, checkWord } from "../platform/check.ts";

export type {
	OtelAttributes,
	OtelContext,
	OtelContexts,
	OtelInstrumentOptions,
	OtelMetrics,
	OtelPropagation,
	OtelSpan,
	OtelSpanContext,
	OtelSpanOptions,
	OtelTrace,
} from "./api.ts";
export type { OtelOptions } from "./options.ts";
export type { Observer } from "../run/observer.ts";

/**
 * Makes an observer that tells OpenTelemetry of tasks. It is given as `observe` to `Basket`, `Processor`, `Pool`, `Group` and
 * `run`. Names, kinds, units and buckets are those of the semantic conventions for messaging, version 1.44:
 *
 * - `send {basket}:{kind}`, of the kind `PRODUCER`: an add, from the call to the answer of the store. One span stands for all
 *   tasks of an `addMany`. Its context travels in the `meta` of the tasks. If your `meta` has one already, that stays, and the
 *   span is a `CLIENT` with a link to it.
 * - `process {basket}:{kind}`, of the kind `CONSUMER`: an attempt of a task, or of a step of a job. It is active while the
 *   function runs, and linked to the span that has added the task. That of a revert is `revert {basket}:{kind}`. A call of a
 *   `batch()` is one span with a link for each task. What was only claimed ahead has none.
 * - `run`, `group` and `pool`, of the kind `INTERNAL`: an attempt outside of baskets.
 * - The metrics `messaging.client.sent.messages`, `messaging.client.operation.duration`, `messaging.client.consumed.messages`
 *   and `messaging.process.duration`.
 *
 * A failed attempt is an error, also if it is retried. Besides the attributes of the conventions there are
 * `messaging.upkeep.attempt`, `.lane`, `.step`, `.outcome` and `.added`. Payloads are in none of them, but the status of a
 * failed span has the message of its error.
 *
 * @throws {TypeError} for options that are not objects of the API
 *
 * @example
 * ```ts
 * import { context, metrics, propagation, trace } from "@opentelemetry/api";
 * import { Basket, memoryStore } from "upkeep";
 * import { otel } from "upkeep/otel";
 *
 * const outbox = new Basket({
 * 	store: memoryStore(),
 * 	tasks: { mail: (to: string) => console.log(to) },
 * 	observe: otel({ trace, metrics, propagation, context }),
 * });
 * await outbox.add("mail", "ada@example.com"); // the span "send default:mail"
 * await outbox.drain(); // the span "process default:mail"
 * ```
 */
export function otel(options: OtelOptions): Observer {
	const { trace, metrics, propagation, context, parent = "none" } = check("options", options, "object");
	checkMethods("trace", trace, "getTracer", "getActiveSpan");
	checkMethods("metrics", metrics, "getMeter");
	checkMethods("propagation", propagation, "inject", "extract");
	if (context !== undefined) checkMethods("context", context, "active");
	checkWord("parent", parent, ["none", "first"]);
	return observer(hooksOf(options));
}
