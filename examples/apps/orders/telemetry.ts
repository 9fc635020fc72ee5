/**
 * OpenTelemetry: spans for requests, orders and messages. Here they are lines of a file; with `@opentelemetry/sdk-node` and an
 * exporter for OTLP, this file is three lines.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { appendFile } from "node:fs";
import { type Context, context, metrics, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { BasicTracerProvider, BatchSpanProcessor, type ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { otel } from "upkeep/otel";

const { SPANS } = Bun.env;
const storage = new AsyncLocalStorage<Context>();

const exporter = {
	export(spans: readonly ReadableSpan[], done: (result: { code: number }) => void): void {
		const lines = spans.map((span) => {
			const { name, kind, attributes, status } = span;
			const { traceId, spanId } = span.spanContext();
			const parent = span.parentSpanContext?.spanId;
			const links = span.links.map(({ context }) => context.spanId);
			return `${JSON.stringify({ name, kind, traceId, spanId, parent, links, attributes, status })}\n`;
		});
		appendFile(SPANS!, lines.join(""), (error) => done({ code: error ? 1 : 0 }));
	},
	shutdown: () => Promise.resolve(),
};
const provider = new BasicTracerProvider({
	spanProcessors: SPANS === undefined ? [] : [new BatchSpanProcessor(exporter, { scheduledDelayMillis: 200 })],
});

context.setGlobalContextManager({
	active: () => storage.getStore() ?? ROOT_CONTEXT,
	with: (active, call, self, ...args) => storage.run(active, () => call.apply(self, args)),
	bind: (active, target) => typeof target === "function" ? target.bind(undefined, active) : target,
	enable() {
		return this;
	},
	disable() {
		return this;
	},
});
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
trace.setGlobalTracerProvider(provider);

/** For baskets and processors. The first attempt is in the trace of the request that has added the task. */
export const observe = otel({ trace, metrics, propagation, context, parent: "first" });

/** Calls a function in a span. */
export function inSpan<T>(name: string, call: () => Promise<T>): Promise<T> {
	return trace.getTracer("orders").startActiveSpan(name, (span) => call().finally(() => span.end()));
}

/** Exports what is left. */
export const shutdown = (): Promise<void> => provider.shutdown();
