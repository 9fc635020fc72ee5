// Spans and metrics, by the real SDK. The names come from the package of the semantic conventions.
import {
	context,
	metrics,
	propagation,
	ROOT_CONTEXT,
	type Span,
	SpanKind,
	SpanStatusCode,
	trace,
} from "@opentelemetry/api";
import {
	ATTR_ERROR_TYPE,
	ATTR_MESSAGING_BATCH_MESSAGE_COUNT,
	ATTR_MESSAGING_CLIENT_ID,
	ATTR_MESSAGING_DESTINATION_NAME,
	ATTR_MESSAGING_MESSAGE_ID,
	ATTR_MESSAGING_OPERATION_NAME,
	ATTR_MESSAGING_OPERATION_TYPE,
	ATTR_MESSAGING_SYSTEM,
	METRIC_MESSAGING_CLIENT_CONSUMED_MESSAGES,
	METRIC_MESSAGING_CLIENT_OPERATION_DURATION,
	METRIC_MESSAGING_CLIENT_SENT_MESSAGES,
	METRIC_MESSAGING_PROCESS_DURATION,
} from "@opentelemetry/semantic-conventions/incubating";
import { DataPointType } from "@opentelemetry/sdk-metrics";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
	batch,
	type BatchTask,
	Group,
	job,
	later,
	memoryStore,
	Pool,
	Processor,
	retryAfter,
	run,
	sleep,
	stopNow,
	type TaskFunction,
} from "../../mod.ts";
import { otel, type OtelOptions } from "../../src/otel/otel.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { Machine, running } from "../basket/support.ts";
import { errorOf } from "../support.ts";
import { idOf, linksOf, Sdk, secondsOf } from "./support.ts";

let sdk: Sdk;
beforeEach(() => void (sdk = new Sdk()));
afterEach(() => sdk.end());

const api = { trace, metrics, propagation, context };

/** The attributes of every message of the kind "mail". */
const mail = { [ATTR_MESSAGING_SYSTEM]: "upkeep", [ATTR_MESSAGING_DESTINATION_NAME]: "default:mail" };
const sent = { ...mail, [ATTR_MESSAGING_OPERATION_NAME]: "send" };
const processed = { ...mail, [ATTR_MESSAGING_OPERATION_NAME]: "process" };

/** A basket with one kind of task, which runs until the test ends. */
function setUp(mail: TaskFunction<string, never>, options: Partial<OtelOptions> = {}) {
	const machine = new Machine();
	const observe = otel({ ...api, ...options });
	const basket = machine.basket({ mail }, { observe, worker: "worker 1", backoff: 1_000 });
	return { machine, basket, ...running(basket) };
}

/** Calls in a span, which is active meanwhile. */
function inSpan<T>(name: string, call: (span: Span) => T): T {
	return trace.getTracer("test").startActiveSpan(name, (span) => {
		try {
			return call(span);
		} finally {
			span.end();
		}
	});
}

describe("otel() with a Basket", () => {
	test("makes a span of an add, and one of each attempt that is linked to it: a failure, a retry, done", async () => {
		const active: unknown[] = [];
		const { machine, basket, stop } = setUp(async (_, { attempt }) => {
			active.push(trace.getActiveSpan()?.spanContext().spanId);
			await sleep(250, { clock: machine.clock });
			if (attempt === 1) throw new RangeError("450: try again later");
		});
		await inSpan("request", async () => await basket.add("mail", "ada", { id: "a", lane: "ada" }));
		await machine.clock.advance(10_000);
		const [request, send, first, second, ...others] = sdk.spans;
		expect(others).toEqual([]);
		expect([send, first, second].map((span) => [span!.name, span!.kind])).toEqual([
			["send default:mail", SpanKind.PRODUCER],
			["process default:mail", SpanKind.CONSUMER],
			["process default:mail", SpanKind.CONSUMER],
		]);
		expect(send!.attributes).toEqual({
			...{ ...sent, [ATTR_MESSAGING_OPERATION_TYPE]: "send", [ATTR_MESSAGING_MESSAGE_ID]: "a" },
			"messaging.upkeep.added": true,
		});
		const attempt = {
			...{ ...processed, [ATTR_MESSAGING_OPERATION_TYPE]: "process", [ATTR_MESSAGING_MESSAGE_ID]: "a" },
			...{ [ATTR_MESSAGING_CLIENT_ID]: "worker 1", "messaging.upkeep.lane": "ada" },
		};
		expect(first!.attributes).toEqual({
			...{ ...attempt, "messaging.upkeep.attempt": 1, "messaging.upkeep.outcome": "retry" },
			[ATTR_ERROR_TYPE]: "RangeError",
		});
		expect(second!.attributes).toEqual({
			...{ ...attempt, "messaging.upkeep.attempt": 2, "messaging.upkeep.outcome": "done" },
		});
		expect(first!.status).toEqual({ code: SpanStatusCode.ERROR, message: "450: try again later" });
		expect([send!.status, second!.status]).toEqual([{ code: SpanStatusCode.UNSET }, { code: SpanStatusCode.UNSET }]);
		expect(send!.parentSpanContext).toMatchObject(idOf(request));
		for (const span of [first, second]) {
			expect(span!.parentSpanContext).toBeUndefined();
			expect(linksOf(span)).toEqual([idOf(send)]);
			expect(secondsOf(span!)).toBeCloseTo(0.25, 6);
		}
		expect(new Set([send, first, second].map((span) => idOf(span).traceId)).size).toBe(3);
		expect(active).toEqual([idOf(first).spanId, idOf(second).spanId]);
		await stop();
	});

	test("measures as the conventions say: names, units, buckets, attributes", async () => {
		const { machine, basket, stop } = setUp(async (_, { attempt }) => {
			await sleep(250, { clock: machine.clock });
			if (attempt === 1) throw new RangeError("no");
		});
		await basket.add("mail", "ada");
		await errorOf(basket.add("mail", "eve", { delay: -1 }));
		await machine.clock.advance(10_000);
		const boundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
		const described = (await sdk.metrics()).map(({ descriptor: { name, unit }, dataPointType, ...metric }) => [
			...[name, unit, dataPointType, "isMonotonic" in metric && metric.isMonotonic],
		]);
		expect(described.sort()).toEqual([
			[METRIC_MESSAGING_CLIENT_CONSUMED_MESSAGES, "{message}", DataPointType.SUM, true],
			[METRIC_MESSAGING_CLIENT_OPERATION_DURATION, "s", DataPointType.HISTOGRAM, false],
			[METRIC_MESSAGING_CLIENT_SENT_MESSAGES, "{message}", DataPointType.SUM, true],
			[METRIC_MESSAGING_PROCESS_DURATION, "s", DataPointType.HISTOGRAM, false],
		]);
		const failed = { [ATTR_ERROR_TYPE]: "RangeError" };
		expect(await sdk.measured(METRIC_MESSAGING_CLIENT_SENT_MESSAGES)).toEqual([
			{ attributes: sent, value: 1 },
			{ attributes: { ...sent, ...failed }, value: 1 },
		]);
		expect(await sdk.measured(METRIC_MESSAGING_CLIENT_CONSUMED_MESSAGES)).toEqual([
			{ attributes: { ...processed, ...failed }, value: 1 },
			{ attributes: processed, value: 1 },
		]);
		const durations = await sdk.measured(METRIC_MESSAGING_PROCESS_DURATION);
		expect(durations.map(({ attributes }) => attributes)).toEqual([{ ...processed, ...failed }, processed]);
		for (const { value } of durations) {
			expect(value).toMatchObject({ count: 1, sum: 0.25, buckets: { boundaries } });
		}
		const sends = await sdk.measured(METRIC_MESSAGING_CLIENT_OPERATION_DURATION);
		const typed = { ...sent, [ATTR_MESSAGING_OPERATION_TYPE]: "send" };
		expect(sends.map(({ attributes }) => attributes)).toEqual([typed, { ...typed, ...failed }]);
		const [added] = sdk.spans;
		expect(sends[0]!.value).toMatchObject({
			buckets: { boundaries },
			count: 1,
			sum: expect.closeTo(secondsOf(added!), 6),
		});
		await stop();
	});

	test(`with parent "first", the first attempt is a child of the add, and retries are linked roots`, async () => {
		const { machine, basket, stop } = setUp((_, { attempt }) => {
			if (attempt === 1) throw new Error("no");
		}, { parent: "first" });
		await basket.add("mail", "ada");
		await machine.clock.advance(10_000);
		const [send, first, second] = sdk.spans;
		expect(first!.parentSpanContext).toMatchObject(idOf(send));
		expect(second!.parentSpanContext).toBeUndefined();
		expect([linksOf(first), linksOf(second)]).toEqual([[idOf(send)], [idOf(send)]]);
		await stop();
	});

	for (const parent of ["none", "first"] as const) {
		test(`in the span of drain(), with parent "${parent}"`, async () => {
			const machine = new Machine();
			let active = ROOT_CONTEXT;
			const observe = otel({ ...api, parent, context: { active: () => active } });
			const basket = machine.basket({ mail: (_: string) => {} }, { observe });
			await basket.add("mail", "ada");
			inSpan("drain", (span) => void (active = trace.setSpan(ROOT_CONTEXT, span)));
			await machine.drain(basket);
			const [send, drain, process] = sdk.spans;
			const [created, ambient] = [idOf(send), idOf(drain)];
			expect(process!.parentSpanContext).toMatchObject(parent === "none" ? ambient : created);
			expect(linksOf(process)).toEqual(parent === "none" ? [created] : [created, ambient]);
		});
	}

	test("a stored context of the caller stays, and the add is linked to it", async () => {
		const { machine, basket, stop } = setUp(() => {});
		const own = trace.getTracer("test").startSpan("create");
		const { traceId, spanId } = own.spanContext();
		const meta = { traceparent: `00-${traceId}-${spanId}-01`, user: "ada" };
		await basket.add("mail", "ada", { id: "a", delay: 100, meta });
		expect((await basket.get("a"))?.meta).toEqual(meta);
		await machine.clock.advance(1_000);
		const [send, process] = sdk.spans;
		expect([send!.kind, linksOf(send), linksOf(process)]).toEqual([
			...[SpanKind.CLIENT, [{ traceId, spanId }], [{ traceId, spanId }]],
		]);
		await stop();
	});

	test("baggage travels with the task, if it is given the context; the active span does in any case", async () => {
		const seen: unknown[] = [];
		for (const options of [{}, { context: undefined }]) {
			const { machine, basket, stop } = setUp(() => {
				seen.push(propagation.getActiveBaggage()?.getEntry("user")?.value);
			}, options);
			const baggage = propagation.createBaggage({ user: { value: "ada" } });
			const add = () => inSpan("request", async () => await basket.add("mail", "ada"));
			await context.with(propagation.setBaggage(context.active(), baggage), add);
			await machine.clock.advance(100);
			const [request, send, process] = sdk.takeSpans();
			expect(send!.parentSpanContext).toMatchObject(idOf(request));
			expect(linksOf(process)).toEqual([idOf(send)]);
			await stop();
		}
		expect(seen).toEqual(["ada", undefined]);
	});

	test("addMany() is one span, whose context travels with all tasks", async () => {
		const machine = new Machine();
		const work = (_: string) => {};
		const basket = machine.basket({ mail: work, sms: work }, { observe: otel(api) });
		await basket.addMany([{ kind: "mail", payload: "ada" }, { kind: "mail", payload: "eve" }]);
		await basket.addMany([{ kind: "mail", payload: "ada" }, { kind: "sms", payload: "eve" }]);
		await machine.drain(basket);
		const [same, mixed, ...processes] = sdk.spans;
		const many = { [ATTR_MESSAGING_OPERATION_TYPE]: "send", [ATTR_MESSAGING_BATCH_MESSAGE_COUNT]: 2 };
		expect([same!.name, same!.kind, same!.attributes]).toEqual([
			...["send default:mail", SpanKind.PRODUCER, { ...sent, ...many }],
		]);
		const { [ATTR_MESSAGING_DESTINATION_NAME]: _, ...anywhere } = sent;
		expect([mixed!.name, mixed!.attributes]).toEqual(["send", { ...anywhere, ...many }]);
		const links = [same, same, mixed, mixed].map((span) => [idOf(span)]);
		expect(processes.map(linksOf)).toEqual(links);
		expect(await sdk.measured(METRIC_MESSAGING_CLIENT_SENT_MESSAGES)).toEqual([
			{ attributes: sent, value: 3 },
			{ attributes: { ...sent, [ATTR_MESSAGING_DESTINATION_NAME]: "default:sms" }, value: 1 },
		]);
		const durations = await sdk.measured(METRIC_MESSAGING_CLIENT_OPERATION_DURATION);
		expect(durations.map(({ value }) => (value as { count: number }).count)).toEqual([1, 1]);
	});

	test("an add that finds its task there says so, and one that fails is an error", async () => {
		const { basket, stop } = setUp(() => {});
		await basket.add("mail", "ada", { id: "a", delay: 1_000 });
		await basket.add("mail", "ada", { id: "a" });
		await errorOf(basket.add("mail", "ada", { id: "" }));
		const told = sdk.spans.map(({ attributes, status }) => [
			...[attributes["messaging.upkeep.added"], attributes[ATTR_ERROR_TYPE], status.code],
		]);
		expect(told).toEqual([
			[true, undefined, SpanStatusCode.UNSET],
			[false, undefined, SpanStatusCode.UNSET],
			[false, expect.stringMatching(/^(Type|Range)Error$/), SpanStatusCode.ERROR],
		]);
		await stop();
	});

	test("a call of a batch is one span with a link for each task, and fails if all of them do", async () => {
		const machine = new Machine();
		const active: unknown[] = [];
		const send = batch({ most: 3 }, async (tasks: readonly BatchTask<string>[], { fail }) => {
			active.push(trace.getActiveSpan()?.spanContext().spanId);
			await sleep(500, { clock: machine.clock });
			for (const { id, payload } of tasks) if (payload === "bad") fail(id, stopNow(new RangeError("550")));
		});
		const basket = machine.basket({ mail: send }, { observe: otel({ ...api, parent: "first" }) });
		for (const [id, payload] of Object.entries({ a: "good", b: "bad", c: "good", d: "bad" })) {
			await basket.add("mail", payload, { id, lane: `lane ${id}` });
		}
		const { stop } = running(basket);
		await machine.clock.advance(10_000);
		const [a, b, c, d, ...calls] = sdk.spans;
		const [one, two] = calls.sort((one, two) => two.links.length - one.links.length);
		expect(calls.map(({ name, kind }) => [name, kind])).toEqual([
			["process default:mail", SpanKind.CONSUMER],
			["process default:mail", SpanKind.CONSUMER],
		]);
		expect([linksOf(one), linksOf(two)]).toEqual([[a, b, c].map(idOf), [idOf(d)]]);
		expect(one!.links[1]!.attributes).toEqual({
			...{ [ATTR_MESSAGING_MESSAGE_ID]: "b", "messaging.upkeep.attempt": 1, "messaging.upkeep.lane": "lane b" },
		});
		const whole = { ...processed, [ATTR_MESSAGING_OPERATION_TYPE]: "process" };
		expect(one!.attributes).toMatchObject({ ...whole, [ATTR_MESSAGING_BATCH_MESSAGE_COUNT]: 3 });
		expect(two!.attributes).toMatchObject({
			...whole,
			[ATTR_MESSAGING_BATCH_MESSAGE_COUNT]: 1,
			[ATTR_ERROR_TYPE]: "RangeError",
		});
		expect(one!.attributes[ATTR_MESSAGING_MESSAGE_ID]).toBeUndefined();
		expect([one!.status.code, two!.status.code]).toEqual([SpanStatusCode.UNSET, SpanStatusCode.ERROR]);
		expect([one, two].map((span) => span!.parentSpanContext)).toEqual([undefined, undefined]);
		expect(new Set(active)).toEqual(new Set(calls.map((span) => idOf(span).spanId)));
		expect([secondsOf(one!), secondsOf(two!)]).toEqual([expect.closeTo(0.5, 6), expect.closeTo(0.5, 6)]);
		const counts = await sdk.measured(METRIC_MESSAGING_CLIENT_CONSUMED_MESSAGES);
		expect(counts.map(({ attributes, value }) => [attributes[ATTR_ERROR_TYPE], value])).toEqual([
			[undefined, 2],
			["RangeError", 2],
		]);
		const durations = await sdk.measured(METRIC_MESSAGING_PROCESS_DURATION);
		expect(durations.map(({ value }) => (value as { count: number }).count)).toEqual([1, 1]);
		await stop();
	});

	test("no span for what was only claimed ahead; a release and later() are no errors; a lost claim is one", async () => {
		const machine = new Machine();
		const tasks = {
			later() {
				throw later(3_600_000);
			},
			wait: async (_: undefined, { signal }: { signal: AbortSignal }) =>
				await sleep(60_000, { clock: machine.clock, signal }),
		};
		const basket = machine.basket(tasks, { observe: otel(api), concurrency: 2, lease: 3_000 });
		await basket.add("later", undefined);
		const { stop } = running(basket);
		await machine.clock.advance(100);
		for (const id of ["lost", "stopped", "ahead 1", "ahead 2"]) await basket.add("wait", undefined, { id });
		await machine.clock.advance(100);
		await basket.delete("lost");
		await basket.delete("ahead 1");
		await basket.delete("ahead 2");
		await machine.clock.advance(5_000);
		await stop();
		const ends = sdk.spans.filter(({ name }) => name.startsWith("process")).map(({ attributes, status }) => [
			...[attributes[ATTR_MESSAGING_MESSAGE_ID], attributes["messaging.upkeep.outcome"]],
			...[attributes[ATTR_ERROR_TYPE], status.code],
		]);
		expect(ends.slice(1)).toEqual([
			["lost", "lost", "ClaimLostError", SpanStatusCode.ERROR],
			["stopped", "released", undefined, SpanStatusCode.UNSET],
		]);
		expect(ends[0]!.slice(1)).toEqual(["later", undefined, SpanStatusCode.UNSET]);
	});

	test("what a function throws is told by its name: strings, objects and revoked proxies, too", async () => {
		const { proxy, revoke } = Proxy.revocable({}, {});
		revoke();
		const ofData = Object.assign(new Error("no"), { name: "No user 4711" });
		const thrown = [Symbol("s"), "text", undefined, { name: 1 }, ofData, proxy, retryAfter(1, new TypeError("hint"))];
		const { machine, basket, stop } = setUp((_, { attempt }) => {
			if (attempt <= thrown.length) throw thrown[attempt - 1];
		});
		await basket.add("mail", "ada");
		await machine.clock.advance(100_000);
		const types = sdk.spans.slice(1).map(({ attributes }) => attributes[ATTR_ERROR_TYPE]);
		expect(types).toEqual([...Array(6).fill("_OTHER"), "TypeError", undefined]);
		await stop();
	});
});

describe("otel() elsewhere", () => {
	test("a job has a span of its add and one of each attempt of a step; those of a revert say so", async () => {
		const clock = new VirtualClock();
		const trip = job("trip")
			.step("flight", { run: () => 1, revert: () => {} })
			.step("hotel", {
				run: () => {
					throw new RangeError("full");
				},
				attempts: 2,
			});
		const store = memoryStore({ clock });
		const processor = new Processor({ store, jobs: [trip], clock, observe: otel(api), backoff: 100 });
		void processor.run();
		await processor.add(trip, undefined, { id: "a", lane: "ada" });
		await clock.advance(1_000);
		const [send, ...spans] = sdk.spans;
		expect([send!.name, send!.kind]).toEqual(["send jobs:trip", SpanKind.PRODUCER]);
		expect(spans.map(({ name, kind, attributes, status }) => [
			...[name, kind, attributes["messaging.upkeep.step"], attributes["messaging.upkeep.attempt"]],
			...[attributes["messaging.upkeep.outcome"], status.message],
		])).toEqual([
			["process jobs:trip", SpanKind.CONSUMER, "flight", 1, "done", undefined],
			["process jobs:trip", SpanKind.CONSUMER, "hotel", 1, "failed", "full"],
			["process jobs:trip", SpanKind.CONSUMER, "hotel", 2, "failed", "full"],
			["revert jobs:trip", SpanKind.CONSUMER, "flight", 1, "done", undefined],
		]);
		expect(spans.map(linksOf)).toEqual(spans.map(() => [idOf(send)]));
		expect(spans.at(-1)!.attributes).toEqual({
			...{ [ATTR_MESSAGING_SYSTEM]: "upkeep", [ATTR_MESSAGING_DESTINATION_NAME]: "jobs:trip" },
			...{ [ATTR_MESSAGING_OPERATION_NAME]: "revert", [ATTR_MESSAGING_OPERATION_TYPE]: "process" },
			...{ [ATTR_MESSAGING_MESSAGE_ID]: "a", "messaging.upkeep.lane": "ada", "messaging.upkeep.step": "flight" },
			...{ "messaging.upkeep.attempt": 1, "messaging.upkeep.outcome": "done" },
		});
		await processor.stop();
	});

	test("run(), Group and Pool have internal spans, children of what is active, and no metrics", async () => {
		const observe = otel(api);
		const names: unknown[] = [];
		const task = ({ attempt }: { attempt: number }) => {
			names.push(inSpan("inner", (span) => idOf(span as never).traceId));
			if (attempt === 1) throw new RangeError("no");
		};
		const options = { attempts: 2, observe };
		const [traceId] = await Promise.all([
			inSpan("outer", (span) => [span.spanContext().traceId, run(task, options)]),
		]).then(async ([[id, result]]) => [id, await result]);
		const group = new Group(options);
		await group.spawn("g", task).wait();
		await new Pool({ ...options, max: 1 }).run(task);
		const own = sdk.spans.filter(({ name }) => !["inner", "outer"].includes(name));
		expect(own.map(({ name, kind, attributes, status }) => [name, kind, status.message, attributes])).toEqual(
			["run", "group", "pool"].flatMap((name) => [
				[name, SpanKind.INTERNAL, "no", expect.objectContaining({ [ATTR_ERROR_TYPE]: "RangeError" })],
				[name, SpanKind.INTERNAL, undefined, expect.objectContaining({ "messaging.upkeep.outcome": "done" })],
			]),
		);
		expect(names[0]).toBe(traceId);
		expect(await sdk.metrics()).toEqual([]);
	});

	test("without an SDK it changes nothing", async () => {
		sdk.end();
		const { machine, basket, stop } = setUp((_, { meta }) => void seen.push(meta));
		const seen: unknown[] = [];
		await basket.add("mail", "ada", { id: "a", meta: { user: "ada" } });
		await machine.clock.advance(100);
		expect(seen).toEqual([{ user: "ada" }]);
		expect(machine.errors).toEqual([]);
		await stop();
	});

	test("refuses what is not an object of the API", () => {
		expect(() => otel(undefined as never)).toThrow(`"options"`);
		for (const name of ["trace", "metrics", "propagation"]) {
			expect(() => otel({ ...api, [name]: undefined })).toThrow(`"${name}"`);
		}
		expect(() => otel({ ...api, context: {} as never })).toThrow(`"context.active"`);
		expect(() => otel({ ...api, parent: "last" as never })).toThrow(`"parent"`);
	});
});
