/**
 * The part of the OpenTelemetry API that is used here, as plain types: the objects of `@opentelemetry/api` fit them, and the
 * library does not depend on it.
 *
 * @module
 */

/** Attributes of a span, a link or a measurement. */
export type OtelAttributes = Record<string, string | number | boolean | undefined>;

/** A context: values that are passed along, such as the active span. */
export interface OtelContext {
	/** Returns a value. */
	getValue(key: symbol): unknown;
	/** Returns a context with another value. */
	setValue(key: symbol, value: unknown): OtelContext;
	/** Returns a context without a value. */
	deleteValue(key: symbol): OtelContext;
}

/** The part of a span that travels. */
export interface OtelSpanContext {
	/** The id of its trace. */
	readonly traceId: string;
	/** Its own id. */
	readonly spanId: string;
	/** Whether it is sampled. */
	readonly traceFlags: number;
}

/** A span. */
export interface OtelSpan {
	/** Returns the part that travels. */
	spanContext(): OtelSpanContext;
	/** Sets attributes. */
	setAttributes(attributes: OtelAttributes): unknown;
	/** Says that it has failed. */
	setStatus(status: { code: number; message?: string | undefined }): unknown;
	/** Ends it, at a time in milliseconds since 1970. */
	end(endTime?: number): void;
}

/** Options of a new span. */
export interface OtelSpanOptions {
	/** The number of its kind. */
	kind: number;
	/** The attributes that samplers see. */
	attributes: OtelAttributes;
	/** Spans that it has to do with. */
	links: { context: OtelSpanContext; attributes: OtelAttributes }[];
	/** Its start, in milliseconds since 1970. */
	startTime: number;
}

/** The `trace` of the API. */
export interface OtelTrace {
	/** Returns a tracer. */
	getTracer(name: string): {
		/** Starts a span. */
		startSpan(name: string, options: OtelSpanOptions, context: OtelContext): OtelSpan;
		/** Starts a span, and calls a function in which it is active. */
		startActiveSpan<T>(
			name: string,
			options: OtelSpanOptions,
			context: OtelContext,
			call: (span: OtelSpan) => T,
		): T;
	};
	/** Returns the active span. */
	getActiveSpan(): OtelSpan | undefined;
	/** Returns the span of a context. */
	getSpan(context: OtelContext): OtelSpan | undefined;
	/** Returns the part of it that travels. */
	getSpanContext(context: OtelContext): OtelSpanContext | undefined;
	/** Returns a context with a span. */
	setSpan(context: OtelContext, span: OtelSpan): OtelContext;
	/** Returns a context without its span. */
	deleteSpan(context: OtelContext): OtelContext;
}

/** Options of a new instrument. */
export interface OtelInstrumentOptions {
	/** Its unit. */
	unit: string;
	/** Whether it counts whole numbers: 0; otherwise 1. */
	valueType: number;
	/** The boundaries of its buckets. */
	advice?: { explicitBucketBoundaries: number[] };
}

/** The `metrics` of the API. */
export interface OtelMetrics {
	/** Returns a meter. */
	getMeter(name: string): {
		/** Creates a counter. */
		createCounter(
			name: string,
			options: OtelInstrumentOptions,
		): { add(value: number, attributes: OtelAttributes): void };
		/** Creates a histogram. */
		createHistogram(
			name: string,
			options: OtelInstrumentOptions,
		): { record(value: number, attributes: OtelAttributes): void };
	};
}

/** The `propagation` of the API. */
export interface OtelPropagation {
	/** Writes what travels of a context. */
	inject(context: OtelContext, carrier: Record<string, string>): void;
	/** Returns a context with what has travelled. */
	extract(context: OtelContext, carrier: Readonly<Record<string, string>>): OtelContext;
}

/** The `context` of the API. */
export interface OtelContexts {
	/** Returns the active context. */
	active(): OtelContext;
}
