/**
 * Operations: a span, and what is counted and timed at its end. An operation has one part, or those of a batch: the tasks of an
 * `addMany`, or the attempts that share a call.
 *
 * @module
 */

import type { OtelAttributes, OtelContext, OtelMetrics, OtelSpan, OtelSpanOptions, OtelTrace } from "./api.ts";
import { propertyOf } from "../platform/store-error.ts";

/** What adds and attempts have in common. */
export interface Part {
	readonly basket?: string | undefined;
	readonly kind?: string | undefined;
	readonly batch?: readonly Part[] | undefined;
}

/**
 * Ends a part.
 *
 * @param attributes those of the span, if that has no other part
 * @param failure present if it has failed
 * @param took in milliseconds; default: the time since its begin
 */
export type End = (attributes: OtelAttributes, failure: { readonly error: unknown } | undefined, took?: number) => void;

/** Begins an operation, whose span is active during the call. */
export type Begin = (
	part: Part,
	name: string,
	span: Omit<OtelSpanOptions, "startTime">,
	parent: OtelContext,
	call: (span: OtelSpan) => void,
) => void;

/** The value of `SpanStatusCode`. */
const failed = 2;

const boundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/**
 * Prepares the operations of a type, `"send"` or `"process"`, and creates their instruments.
 *
 * @param ends gets what ends the parts that have begun; an attempt that never ends is forgotten
 */
export function operations(
	{ trace, metrics }: { trace: OtelTrace; metrics: OtelMetrics },
	ends: WeakMap<Part, End>,
	type: string,
	counted: string,
	timed: string,
): Begin {
	const tracer = trace.getTracer("upkeep");
	const meter = metrics.getMeter("upkeep");
	const counter = meter.createCounter(`messaging.client.${counted}.messages`, { unit: "{message}", valueType: 0 });
	const advice = { explicitBucketBoundaries: boundaries };
	const durations = meter.createHistogram(`messaging.${timed}.duration`, { unit: "s", valueType: 1, advice });
	return (part, name, { kind, attributes, links }, parent, call) => {
		const { basket, batch } = part;
		const parts = partsOf(part);
		const about = aboutOf(name, parts);
		const typed = { ...about, ...basket && { "messaging.operation.type": type } };
		const destination = about["messaging.destination.name"];
		const startTime = Date.now();
		const begunAt = performance.now();
		let left = parts.length;
		let longest = 0;
		let isFine = false;
		const endOf = (one: Part, span: OtelSpan): End => (attributes, failure, took = performance.now() - begunAt) => {
			ends.delete(one);
			const failing = failure && { "error.type": typeOf(failure.error) };
			if (basket) counter.add(1, { ...aboutOf(name, [one]), ...failing });
			longest = Math.max(longest, took);
			isFine ||= !failure;
			if (--left > 0) return;
			// A batch has failed if all of its parts have.
			const outcome = isFine ? {} : failing;
			if (!isFine) span.setStatus({ code: failed, message: textOf(failure?.error, "message") });
			span.setAttributes({ ...batch ? {} : attributes, ...outcome });
			span.end(startTime + longest);
			if (basket) durations.record(longest / 1_000, { ...type === "send" ? typed : about, ...outcome });
		};
		const all = { ...typed, ...batch && { "messaging.batch.message_count": left }, ...attributes };
		const title = destination ? `${name} ${destination}` : name;
		tracer.startActiveSpan(title, { kind, attributes: all, links, startTime }, parent, (span) => {
			for (const one of parts) ends.set(one, endOf(one, span));
			call(span);
		});
	};
}

/** The attributes of spans and measurements: none outside of baskets. A destination is only that of all parts. */
function aboutOf(name: string, parts: readonly Part[]): OtelAttributes {
	const [{ basket, kind }] = parts as readonly [Part];
	return basket === undefined ? {} : {
		"messaging.system": "upkeep",
		"messaging.operation.name": name,
		...parts.every((part) => part.kind === kind) && { "messaging.destination.name": `${basket}:${kind}` },
	};
}

/** The parts of the operation of a part. */
export function partsOf<T extends Part>(part: T): readonly T[] {
	return (part.batch ?? [part]) as readonly T[];
}

/** The name of an error, if that is one: a metric with names made of data would have a series for each of them. */
function typeOf(error: unknown): string {
	const name = textOf(error, "name");
	return name !== undefined && /^[A-Za-z_$][\w$.]{0,63}$/.test(name) ? name : "_OTHER";
}

function textOf(error: unknown, name: string): string | undefined {
	const text = propertyOf(error, name);
	return typeof text === "string" ? text : undefined;
}
