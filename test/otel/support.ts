// OpenTelemetry with exporters in memory, set as users set it: through the global API.
import {
	type Context,
	context,
	type ContextManager,
	metrics,
	propagation,
	ROOT_CONTEXT,
	trace,
} from "@opentelemetry/api";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";
import { MeterProvider, type MetricData, MetricReader } from "@opentelemetry/sdk-metrics";
import {
	BasicTracerProvider,
	InMemorySpanExporter,
	type ReadableSpan,
	SimpleSpanProcessor,
	type SpanProcessor,
} from "@opentelemetry/sdk-trace-base";

class Reader extends MetricReader {
	protected override onShutdown(): Promise<void> {
		return Promise.resolve();
	}

	protected override onForceFlush(): Promise<void> {
		return Promise.resolve();
	}
}

/** Knows the active context in synchronous code only, as in a browser. */
class StackManager implements ContextManager {
	#active: Context = ROOT_CONTEXT;

	active(): Context {
		return this.#active;
	}

	with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
		context: Context,
		call: F,
		self?: ThisParameterType<F>,
		...args: A
	): ReturnType<F> {
		const before = this.#active;
		this.#active = context;
		try {
			return call.apply(self, args);
		} finally {
			this.#active = before;
		}
	}

	bind<T>(_: Context, target: T): T {
		return target;
	}

	enable(): this {
		return this;
	}

	disable(): this {
		return this;
	}
}

/** A measurement of a counter, or the measurements of a histogram. */
export interface Measured {
	readonly attributes: Readonly<Record<string, unknown>>;
	readonly value: unknown;
}

/** The SDK, until {@link Sdk.end} is called. */
export class Sdk {
	readonly #exporter = new InMemorySpanExporter();
	readonly #reader = new Reader();

	constructor(
		{ manager = new StackManager(), processor }: { manager?: ContextManager; processor?: SpanProcessor } = {},
	) {
		const spanProcessors = [processor ?? new SimpleSpanProcessor(this.#exporter)];
		trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
		metrics.setGlobalMeterProvider(new MeterProvider({ readers: [this.#reader] }));
		context.setGlobalContextManager(manager);
		const propagators = [new W3CTraceContextPropagator(), new W3CBaggagePropagator()];
		propagation.setGlobalPropagator(new CompositePropagator({ propagators }));
	}

	/** The spans that have ended, in the order of their ends. */
	get spans(): ReadableSpan[] {
		return this.#exporter.getFinishedSpans();
	}

	/** Removes and returns the spans. */
	takeSpans(): ReadableSpan[] {
		const spans = [...this.spans];
		this.#exporter.reset();
		return spans;
	}

	async metrics(): Promise<MetricData[]> {
		const { resourceMetrics, errors } = await this.#reader.collect();
		if (errors.length > 0) throw new AggregateError(errors);
		return resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
	}

	/** The measurements of an instrument. */
	async measured(name: string): Promise<Measured[]> {
		const metric = (await this.metrics()).find(({ descriptor }) => descriptor.name === name);
		return (metric?.dataPoints ?? []).map(({ attributes, value }) => ({ attributes, value }));
	}

	end(): void {
		for (const api of [trace, metrics, context, propagation]) api.disable();
	}
}

/** What belongs to a span, for a comparison. */
export function idOf(span: ReadableSpan | undefined): { traceId: string; spanId: string } {
	const { traceId, spanId } = span!.spanContext();
	return { traceId, spanId };
}

/** What a span is linked to. */
export function linksOf(span: ReadableSpan | undefined): { traceId: string; spanId: string }[] {
	return span!.links.map(({ context: { traceId, spanId } }) => ({ traceId, spanId }));
}

/** The duration of a span, in seconds. */
export function secondsOf({ duration: [seconds, nanoseconds] }: ReadableSpan): number {
	return seconds + nanoseconds / 1e9;
}
