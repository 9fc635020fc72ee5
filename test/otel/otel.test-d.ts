// The objects of the real API fit the types.
import { context, metrics, propagation, trace } from "@opentelemetry/api";
import { expectTypeOf, test } from "vitest";
import type { Observer } from "../../mod.ts";
import {
	otel,
	type OtelContext,
	type OtelContexts,
	type OtelMetrics,
	type OtelPropagation,
	type OtelSpan,
	type OtelTrace,
} from "../../src/otel/otel.ts";

test("otel() takes the objects of @opentelemetry/api", () => {
	expectTypeOf(trace).toExtend<OtelTrace>();
	expectTypeOf(metrics).toExtend<OtelMetrics>();
	expectTypeOf(propagation).toExtend<OtelPropagation>();
	expectTypeOf(context).toExtend<OtelContexts>();
	expectTypeOf(context.active()).toExtend<OtelContext>();
	expectTypeOf(trace.getTracer("test").startSpan("test")).toExtend<OtelSpan>();
	expectTypeOf(otel({ trace, metrics, propagation })).toEqualTypeOf<Observer>();
	// @ts-expect-error: metrics has no tracer
	otel({ trace: metrics, metrics, propagation });
});
