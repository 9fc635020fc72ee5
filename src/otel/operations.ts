/**
 * Operations: a span, and what is counted and timed at its end. An operation has one part, or those of a batch: the tasks of an
 * `addMany`, or the attempts that share a call.
 *
 * @module
 */

import type { OtelAttributes, OtelContext, OtelMetrics, OtelSpan, OtelSpanContext, OtelTrace } from "./api.ts";
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
export type End = (attributes: OtelAttributes, failure: Failure | undefined, took?: number) => void;

export interface Failure {
	readonly error: unknown;
}

/** A new operation. */
export interface Operation {
	/** What is done. */
	readonly name: string;
	/** A `SpanKind`. */
	readonly kind: number;
	readonly attributes: OtelAttributes;
	readonly links: { context: OtelSpanContext; attributes: OtelAttributes }[];
	readonly parent: OtelContext;
}

/** The value of `SpanStatusCode`. */
const failed = 2;

const boundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** The operations of a type: `"send"` or `"process"`. */
export interface Operations {
	/** Begins one, whose span is active during the call. */
	begin(part: Part, operation: Operation, call: (span: OtelSpan) => void): void;
	/** Returns what ends a part, if it has begun and not ended. */
	endOf(part: Part): End | undefined;
}

export function operations(
	{ trace, metrics }: { trace: OtelTrace; metrics: OtelMetrics },
	type: string,
	counted: string,
	timed: string,
): Operations {
	const tracer = trace.getTracer("upkeep");
	const meter = metrics.getMeter("upkeep");
	const counter = meter.createCounter(`messaging.client.${counted}.messages`, { unit: "{message}", valueType: 0 });
	const advice = { explicitBucketBoundaries: boundaries };
	const durations = meter.createHistogram(`messaging.${timed}.duration`, { unit: "s", valueType: 1, advice });
	// An attempt that nobody can end is forgotten: its function may never return.
	const ends = new WeakMap<Part, End>();
	const begin: Operations["begin"] = (part, { name, kind, attributes, links, parent }, call) => {
		const parts = partsOf(part);
		const isMessage = part.basket !== undefined;
		const about = isMessage ? aboutOf(name, parts) : {};
		const { [destinationName]: destination } = about;
		const typed = isMessage ? { ...about, "messaging.operation.type": type } : {};
		const size = part.batch && { "messaging.batch.message_count": parts.length };
		const startTime = Date.now();
		const begunAt = performance.now();
		let left = parts.length;
		let longest = 0;
		let isFine = false;
		const endOf = (one: Part, span: OtelSpan): End => (attributes, failure, took = performance.now() - begunAt) => {
			ends.delete(one);
			const failing = failure && { "error.type": textOf(failure, "name") ?? "_OTHER" };
			if (isMessage) counter.add(1, { ...aboutOf(name, [one]), ...failing });
			longest = Math.max(longest, took);
			isFine ||= failure === undefined;
			if (--left > 0) return;
			// A batch has failed if all of its parts have.
			if (!isFine) span.setStatus({ code: failed, message: textOf(failure!, "message") });
			span.setAttributes({ ...part.batch ? {} : attributes, ...isFine ? {} : failing });
			span.end(startTime + longest);
			if (isMessage) {
				durations.record(longest / 1_000, { ...type === "send" ? typed : about, ...isFine ? {} : failing });
			}
		};
		const options = { kind, attributes: { ...typed, ...size, ...attributes }, links, startTime };
		tracer.startActiveSpan(destination ? `${name} ${destination}` : name, options, parent, (span) => {
			for (const one of parts) ends.set(one, endOf(one, span));
			call(span);
		});
	};
	return { begin, endOf: (part) => ends.get(part) };
}

const destinationName = "messaging.destination.name";

/** The attributes of spans and measurements. A destination is only that of all parts. */
function aboutOf(name: string, parts: readonly Part[]): OtelAttributes {
	const [destination, ...others] = new Set(parts.map(({ basket, kind }) => `${basket}:${kind}`));
	return {
		"messaging.system": "upkeep",
		"messaging.operation.name": name,
		...others.length > 0 ? {} : { [destinationName]: destination },
	};
}

/** The parts of the operation of a part. */
export function partsOf<T extends Part>(part: T): readonly T[] {
	return (part.batch ?? [part]) as readonly T[];
}

function textOf({ error }: Failure, name: string): string | undefined {
	const text = propertyOf(error, name);
	return typeof text === "string" ? text : undefined;
}
