// Tests that need no thread. test/runtimes/ tests real threads, because workerd has none, and happy-dom has no
// browser threads.
import { describe, expect, test } from "vitest";
import { serve, ThreadDiedError, threadWorker } from "../../src/threads/threads.ts";
import { pack, unpack } from "../../src/threads/error-border.ts";
import { errorOf } from "../support.ts";

const url = "data:text/javascript,";
/** A worker that sends no messages. */
const silent = () => ({ addEventListener() {}, postMessage() {}, terminate() {} });

describe("threadWorker()", () => {
	test("refuses bad arguments", () => {
		const make = threadWorker as (...args: unknown[]) => unknown;
		for (const source of [undefined, null, 1, {}]) expect(() => make(source)).toThrow(TypeError);
		expect(() => make("https://")).toThrow(`"source" must be an absolute URL or a function: current value is https://`);
		expect(() => make(url, 1)).toThrow(TypeError);
		expect(() => make(url, { abandonAfter: -1 })).toThrow(RangeError);
		expect(() => make(url, { abandonAfter: "1" })).toThrow(TypeError);
		expect(() => make(url, { startTimeout: 0 })).toThrow(RangeError);
		expect(() => make(url, { onError: 1 })).toThrow(TypeError);
		expect(() => make(url, { clock: {} })).toThrow(TypeError);
	});

	test("starts nothing", () => {
		expect(Object.keys(threadWorker(() => expect.fail("too early")))).toEqual(["createWorker", "destroyWorker"]);
	});

	test("makes functions that refuse bad arguments", async () => {
		const { createWorker, destroyWorker } = threadWorker(silent) as unknown as Record<
			string,
			(value: unknown) => Promise<unknown>
		>;
		await expect(createWorker!({ signal: {} })).rejects.toThrow(TypeError);
		await expect(createWorker!({ died: 1 })).rejects.toThrow(TypeError);
		for (const thread of [undefined, 1, {}]) await expect(destroyWorker!(thread)).rejects.toThrow(TypeError);
	});

	test("makes a createWorker() that rejects with what starting a worker threw", async () => {
		const { createWorker } = threadWorker(() => {
			throw new RangeError("no more threads");
		});
		await expect(createWorker()).rejects.toThrow("no more threads");
	});

	test("makes a createWorker() that ends a thread during whose making its signal has aborted", async () => {
		const controller = new AbortController();
		let ends = 0;
		const { createWorker } = threadWorker(() => {
			controller.abort("aborted");
			return { ...silent(), terminate: () => void ends++ };
		});
		expect(await errorOf(createWorker(controller))).toBe("aborted");
		expect(ends).toBe(1);
	});

	test("makes a createWorker() that waits for the end of a thread which it gives up", async () => {
		let end = () => {};
		const terminate = () => new Promise<void>((resolve) => end = resolve);
		const { createWorker } = threadWorker(() => ({ ...silent(), terminate }));
		const controller = new AbortController();
		const order: string[] = [];
		const started = createWorker(controller).catch((reason) => order.push(reason));
		controller.abort("aborted");
		await Promise.resolve();
		order.push("ended");
		end();
		await started;
		expect(order).toEqual(["ended", "aborted"]);
	});
});

describe("Thread.call()", () => {
	test("rejects if copying its arguments ends the thread, or fails", async () => {
		let receive = (_event: { data: unknown }): void => {};
		const worker = {
			addEventListener(type: string, listener: (event: { data: unknown }) => void) {
				if (type === "message") receive = listener;
			},
			postMessage: (message: unknown) => void structuredClone(message),
			terminate() {},
		};
		const { createWorker } = threadWorker<Record<"add", (value: unknown) => void>>(() => worker);
		const starting = createWorker();
		await Promise.resolve();
		receive({ data: ["ready", ["add"], undefined] });
		const thread = await starting;
		await expect(thread.call("add", [() => {}])).rejects.toMatchObject({ name: "DataCloneError" });
		const hostile = {
			get value() {
				return void thread.terminate();
			},
		};
		await expect(thread.call("add", [hostile])).rejects.toThrow(ThreadDiedError);
	});
});

describe("serve()", () => {
	test("does nothing where this is no thread", () => {
		expect(serve({ add: (a: number, b: number) => a + b })).toBe(false);
	});

	test("refuses what is no object", () => {
		expect(() => serve(undefined as never)).toThrow(`"functions" must be`);
	});
});

describe("ThreadDiedError", () => {
	test("has a name and a cause", () => {
		const error = new ThreadDiedError("is gone", { cause: "a cause" });
		expect([error.name, error.message, error.cause]).toEqual(["ThreadDiedError", "The thread is gone", "a cause"]);
		expect(new ThreadDiedError("is gone")).not.toHaveProperty("cause");
	});
});

describe("an error on its way over a border", () => {
	const copy = (thrown: unknown) => unpack(structuredClone(pack(thrown)));

	for (const Type of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
		test(`stays a ${Type.name}`, () => {
			const error = new Type("a message");
			const copied = copy(error) as Error;
			expect(Object.getPrototypeOf(copied)).toBe(Type.prototype);
			expect([copied.name, copied.message, copied.stack]).toEqual([error.name, error.message, error.stack]);
			expect(copied).not.toHaveProperty("cause");
		});
	}

	test("keeps a cause that is undefined, and causes of causes", () => {
		expect(copy(new Error("a", { cause: undefined }))).toHaveProperty("cause", undefined);
		const deep = copy(new Error("a", { cause: new Error("b", { cause: { c: 1 } }) })) as { cause: Error };
		expect([deep.cause.message, deep.cause.cause]).toEqual(["b", { c: 1 }]);
	});

	test("keeps its own fields, but not those that cannot be copied", () => {
		const fields = { code: "E1", at: new Date(0), act: () => {}, stack: undefined, name: "Renamed" };
		const copied = copy(Object.assign(new Error("a"), fields)) as Error & Record<string, unknown>;
		expect(copied).toMatchObject({ code: "E1", at: new Date(0), name: "Renamed" });
		expect(copied).not.toHaveProperty("act");
	});

	test("survives anything that can be thrown", async () => {
		for (const value of [undefined, null, 0, "a", { b: [1] }]) expect(copy(value)).toEqual(value);
		expect(copy(Symbol("s"))).toBe("Symbol(s)");
		expect(copy(() => 1)).toContain("=>");
		const { proxy, revoke } = Proxy.revocable({}, {});
		revoke();
		expect(copy(proxy)).toBeInstanceOf(Error);
		expect(await errorOf(Promise.reject(copy(Object.create(null, { toString: { get: () => expect.fail() } })))))
			.toEqual({});
	});
});
