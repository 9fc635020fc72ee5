import { describe, expectTypeOf, test } from "vitest";
import { serve, type Thread, type ThreadContext, threadWorker } from "../../src/threads/threads.ts";

type Functions = typeof import("../fixtures/thread.ts");
const thread = {} as Thread<Functions>;

describe("Thread.call()", () => {
	test("knows the names, parameters and results of the module's functions", () => {
		expectTypeOf(thread.call("add", [1, 2])).toEqualTypeOf<Promise<number>>();
		expectTypeOf(thread.call("add", [1])).toEqualTypeOf<Promise<number>>();
		expectTypeOf(thread.call("sum", [1, 2, 3])).toEqualTypeOf<Promise<number>>();
		expectTypeOf(thread.call("later", ["a"])).toEqualTypeOf<Promise<string>>();
		expectTypeOf(thread.call("count", [1])).toEqualTypeOf<Promise<number>>();
		expectTypeOf(thread.call("never", [])).toEqualTypeOf<Promise<never>>();
		// @ts-expect-error no such function
		thread.call("divide", [1, 2]);
		// @ts-expect-error not a function
		thread.call("constant", []);
		// @ts-expect-error a parameter of another type
		thread.call("add", ["1"]);
		// @ts-expect-error a parameter is missing
		thread.call("add", []);
		// @ts-expect-error too many arguments
		thread.call("add", [1, 2, 3]);
	});

	test("takes undefined for an option that is not given, under exactOptionalPropertyTypes too", () => {
		thread.call("add", [1], { signal: undefined, transfer: undefined, onProgress: undefined, abandonAfter: undefined });
		// @ts-expect-error no such option
		thread.call("add", [1], { timeout: 1 });
	});
});

describe("threadWorker()", () => {
	test("makes threads of the module", () => {
		const { createWorker, destroyWorker } = threadWorker<Functions>(new URL("data:,"), { clock: undefined });
		expectTypeOf(createWorker()).toEqualTypeOf<Promise<Thread<Functions>>>();
		expectTypeOf(destroyWorker).parameter(0).toEqualTypeOf<Thread<Functions>>();
		threadWorker<Functions>(() => new Worker("data:,"), { abandonAfter: undefined });
		// @ts-expect-error not a worker
		threadWorker<Functions>(() => ({}));
	});

	test("makes threads of anything if it is not told more", async () => {
		const untyped = await threadWorker("data:,").createWorker();
		expectTypeOf(untyped.call("anything", [1, "a"])).toEqualTypeOf<Promise<unknown>>();
	});
});

describe("serve()", () => {
	test("takes functions with and without a context, and whole modules", () => {
		serve({ add: (a: number) => a + 1, wait(this: ThreadContext) {} });
		serve({} as Functions);
		// @ts-expect-error not an object
		serve(1);
	});

	test("gives functions their context", () => {
		function move(this: ThreadContext, buffer: ArrayBuffer): ArrayBuffer {
			expectTypeOf(this.signal).toEqualTypeOf<AbortSignal>();
			return this.transfer(buffer, [buffer]);
		}
		expectTypeOf(({} as Thread<{ move: typeof move }>).call("move", [new ArrayBuffer(1)]))
			.toEqualTypeOf<Promise<ArrayBuffer>>();
	});
});
