import * as v from "valibot";
import { describe, expectTypeOf, test } from "vitest";
import {
	configure,
	Group,
	type GroupTask,
	Intermittent,
	IntermittentMap,
	Lifecycle,
	type LifecycleState,
	poll,
	Pool,
	type PoolTask,
	run,
	Runner,
	type RunnerOptions,
	type RunStep,
	type ServiceChange,
	type ServiceRecord,
	Services,
	start,
	stop,
	type Task,
	type TaskContext,
} from "../mod.ts";
import { servicesHandler } from "../src/http/http.ts";
import type { Thread } from "../src/threads/threads.ts";

describe("run() and Runner", () => {
	test("infer the value of the task", () => {
		expectTypeOf(run(() => 1)).toEqualTypeOf<Promise<number>>();
		expectTypeOf(run(async () => "a")).toEqualTypeOf<Promise<string>>();
		expectTypeOf(run(() => {})).toEqualTypeOf<Promise<void>>();
		expectTypeOf(new Runner(() => 1).step()).toEqualTypeOf<Promise<RunStep<number>>>();
	});

	test("give the task its context", () => {
		run((context) => expectTypeOf(context).toEqualTypeOf<TaskContext>());
		// @ts-expect-error the context is read-only
		run((context) => context.attempt = 2);
		expectTypeOf<Task>().toEqualTypeOf<(context: TaskContext) => void | PromiseLike<void>>();
	});

	test("narrow a step by ok and by again", () => {
		const step = {} as RunStep<number>;
		if (step.ok) expectTypeOf(step.value).toEqualTypeOf<number>();
		else expectTypeOf(step.error).toBeUnknown();
		if (step.again) expectTypeOf(step.ok).toEqualTypeOf<false>();
	});

	test("take undefined for an option that is not given, under exactOptionalPropertyTypes too", () => {
		const options: RunnerOptions = { attempts: undefined, backoff: undefined, timeout: undefined, clock: undefined };
		run(() => 1, { ...options, signal: undefined });
		// @ts-expect-error no such option
		run(() => 1, { retries: 3 });
		// @ts-expect-error no such jitter
		run(() => 1, { backoff: { start: 1, jitter: "some" } });
		// @ts-expect-error the signal belongs to a step
		new Runner(() => 1, { signal: new AbortController().signal });
	});
});

describe("Group", () => {
	test("types the tasks by their values", () => {
		const group = new Group();
		expectTypeOf(group.spawn("a", () => 1)).toEqualTypeOf<GroupTask<number>>();
		expectTypeOf(group.spawn("a", async () => "a").result()).toEqualTypeOf<Promise<string>>();
		expectTypeOf(group.get("a")).toEqualTypeOf<GroupTask | undefined>();
		expectTypeOf(group.tasks()).toEqualTypeOf<Map<string, GroupTask>>();
		expectTypeOf(group).toExtend<AsyncDisposable>();
		// @ts-expect-error cancel() stops a task
		group.get("a")!.state = "stopped";
		// @ts-expect-error the reason is an option
		group.stop("enough");
	});
});

describe("Pool", () => {
	test("types its tasks by their values, and is used as a Group is", () => {
		const pool = new Pool({ max: 1 });
		expectTypeOf(pool.spawn("a", async () => 1)).toEqualTypeOf<PoolTask<number>>();
		expectTypeOf(pool.spawn("a", () => "a").result()).toEqualTypeOf<Promise<string>>();
		expectTypeOf(pool.spawn("a", () => "a").assigned()).toEqualTypeOf<Promise<void>>();
		expectTypeOf(pool.run(() => 1)).toEqualTypeOf<Promise<number>>();
		expectTypeOf(pool.wait).toEqualTypeOf<Group["wait"]>();
		expectTypeOf(pool.stop).toExtend<Group["stop"]>();
		expectTypeOf<Intermittent["stop"]>().toEqualTypeOf<Group["stop"]>();
		expectTypeOf<IntermittentMap<string>["stop"]>().toEqualTypeOf<Group["stop"]>();
	});
});

describe("whatever lives", () => {
	test("can be disposed of", () => {
		expectTypeOf<Intermittent | IntermittentMap<string> | Lifecycle | Services | Pool | Group>()
			.toExtend<AsyncDisposable>();
		expectTypeOf<ReturnType<typeof poll> | ReturnType<Services["watch"]>>().toExtend<AsyncDisposable>();
		expectTypeOf<Thread<object>>().toExtend<AsyncDisposable>();
	});
});

describe("Intermittent", () => {
	const { signal } = new AbortController();

	test("infers its value from the start", () => {
		expectTypeOf(new Intermittent(() => ({ value: 1, stop() {} })).attach(signal)).toEqualTypeOf<Promise<number>>();
		expectTypeOf(new Intermittent(async () => ({ value: "a" })).attach(signal)).toEqualTypeOf<Promise<string>>();
		expectTypeOf(new Intermittent(() => () => {}).attach(signal)).toEqualTypeOf<Promise<void>>();
		expectTypeOf(new Intermittent(() => {}).attach(signal)).toEqualTypeOf<Promise<void>>();
		expectTypeOf(poll(() => 1)).toEqualTypeOf<Intermittent>();
		// @ts-expect-error a start must not return a plain value
		new Intermittent(() => 1);
	});

	test("knows the keys of a map", () => {
		const map = new IntermittentMap((key: number, _signal) => ({ value: String(key) }));
		expectTypeOf(map.attach(1, signal)).toEqualTypeOf<Promise<string>>();
		// @ts-expect-error the keys are numbers
		map.attach("1", signal);
	});
});

describe("Lifecycle", () => {
	test("takes the configuration's type from applyConfig, readConfig or a schema", () => {
		new Lifecycle((config: { port: number }) => expectTypeOf(config.port).toBeNumber());
		new Lifecycle((config) => expectTypeOf(config).toEqualTypeOf<Date>(), { readConfig: () => new Date() });
		new Lifecycle((config) => expectTypeOf(config).toEqualTypeOf<{ port: number }>(), {
			readConfig: v.object({ port: v.number() }),
		});
		// @ts-expect-error applyConfig does not accept the output of the schema
		new Lifecycle((_config: { host: string }) => {}, { readConfig: v.object({ port: v.number() }) });
	});

	test("works with the guards", () => {
		const lifecycle = new Lifecycle(() => {});
		expectTypeOf(start(lifecycle)).toEqualTypeOf<Promise<LifecycleState>>();
		expectTypeOf(stop(lifecycle)).toEqualTypeOf<Promise<LifecycleState>>();
		expectTypeOf(configure(lifecycle, {})).toEqualTypeOf<Promise<LifecycleState>>();
		expectTypeOf(stop({ stop: () => 1 })).toEqualTypeOf<Promise<number>>();
		// @ts-expect-error the object lacks the method
		stop({ end() {} });
		// @ts-expect-error the data must be a number
		configure({ configure(_data: number) {} }, "1");
	});
});

describe("Services", () => {
	const services = new Services({
		kinds: { a: () => new Lifecycle((_config: { port: number }) => {}), b: async () => a },
	});
	const a = new Lifecycle(() => {});

	test("know their kinds, and are operated as any others", () => {
		expectTypeOf(services.create({ kind: "a" })).toEqualTypeOf<Promise<ServiceRecord>>();
		// @ts-expect-error no such kind
		services.create({ kind: "c" });
		// @ts-expect-error a kind must create a service
		new Services({ kinds: { a: () => ({ start() {} }) } });
		expectTypeOf(services).toExtend<Services>();
		expectTypeOf(servicesHandler).toBeCallableWith(services);
	});

	test("stop one or all, and tell their changes", async () => {
		expectTypeOf(services.stop("a")).toEqualTypeOf<Promise<ServiceRecord>>();
		expectTypeOf(services.stop()).toEqualTypeOf<Promise<void>>();
		// @ts-expect-error an undefined id must not stop all services
		services.stop({} as string | undefined);
		for await (const change of services.watch({ signal: undefined })) {
			expectTypeOf(change).toEqualTypeOf<ServiceChange>();
		}
	});
});
