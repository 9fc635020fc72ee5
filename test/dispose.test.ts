// All disposable objects follow the same laws of Symbol.asyncDispose.
import { describe, expect, test } from "vitest";
import {
	Basket,
	Group,
	Intermittent,
	IntermittentMap,
	job,
	Lifecycle,
	memoryStore,
	poll,
	Pool,
	Processor,
	Services,
	sleep,
} from "../mod.ts";
import { VirtualClock } from "../src/testing/testing.ts";
import { settle, SpiedController, untilAborted, watch } from "./support.ts";

/** A disposable object that runs one operation at a time. */
interface Living {
	readonly thing: AsyncDisposable;
	/** Begins an operation that calls `enter` at its start and `leave` at its end. The promise may resolve or reject. */
	begin(): Promise<unknown>;
	/** Whether the object cannot be used again afterwards. */
	readonly isOver?: boolean;
}

/** The argument of a factory. */
interface Tools {
	readonly clock: VirtualClock;
	readonly signal: AbortSignal;
	/** Runs for 5 ms, or until 5 ms after an abort. */
	readonly work: (context: { readonly signal: AbortSignal }) => Promise<void>;
	/** Starts within 5 ms, and then runs until it is stopped. */
	readonly start: (signal: AbortSignal) => Promise<() => Promise<void>>;
}

const makers: Readonly<Record<string, (tools: Tools) => Living>> = {
	Intermittent: ({ start, signal }) => {
		const thing = new Intermittent(start);
		return { thing, begin: () => thing.attach(signal) };
	},
	IntermittentMap: ({ start, signal }) => {
		const thing = new IntermittentMap((_key: string, signal) => start(signal));
		return { thing, begin: () => thing.attach("a", signal) };
	},
	"poll()": ({ work, signal, clock }) => {
		const thing = poll((signal) => work({ signal }), { interval: 1, clock });
		return { thing, begin: () => thing.attach(signal) };
	},
	Lifecycle: ({ work }) => {
		const thing = new Lifecycle((_config, context) => work(context));
		return { thing, begin: async () => [await thing.start(), await thing.configure({})] };
	},
	Services: ({ work }) => {
		const thing = new Services({ kinds: { a: () => new Lifecycle((_config, context) => work(context)) } });
		return { thing, begin: () => thing.create({ kind: "a", config: {} }) };
	},
	Group: ({ work }) => {
		const thing = new Group();
		return { thing, begin: () => thing.spawn("a", work).result() };
	},
	Pool: ({ work, clock }) => {
		const createWorker = () => sleep(1, { clock });
		const thing = new Pool<void>({ max: 1, clock, createWorker });
		return { thing, begin: async () => await thing.spawn("a", work).result(), isOver: true };
	},
	Basket: ({ work, clock }) => {
		const thing = new Basket({
			store: memoryStore({ clock }),
			tasks: { a: (_: number, context) => work(context) },
			clock,
		});
		return { thing, begin: async () => [await thing.add("a", 1), await thing.run()] };
	},
	Processor: ({ work, clock }) => {
		const only = job<number>("a").step("b", { run: (context) => work(context) });
		const thing = new Processor({ store: memoryStore({ clock }), jobs: [only], clock });
		return { thing, begin: async () => [await thing.add(only, 1), await thing.run()] };
	},
};

class Bench {
	readonly clock = new VirtualClock();
	readonly controller = new SpiedController();
	running = 0;
	begun = 0;
	/**
	 * The maximum number of concurrent operations. It is checked later, because an error in a callback would count as
	 * a failure of the operation.
	 */
	most = 0;
	readonly living: Living;

	constructor(make: (tools: Tools) => Living) {
		const { clock, controller: { signal } } = this;
		const enter = () => {
			this.begun++;
			this.most = Math.max(this.most, ++this.running);
		};
		const linger = () => sleep(5, { clock }).finally(() => this.running--);
		const work = async ({ signal }: { readonly signal: AbortSignal }) => {
			enter();
			await Promise.race([sleep(5, { clock }), untilAborted(signal)]).catch(() => {});
			await linger();
			signal.throwIfAborted();
		};
		const start = async () => {
			enter();
			await sleep(5, { clock });
			return linger;
		};
		this.living = make({ clock, signal, work, start });
	}

	dispose(): Promise<void> {
		return Promise.resolve(this.living.thing[Symbol.asyncDispose]());
	}
}

const hasSymbol = Symbol.asyncDispose !== undefined;

// Safari and older Firefox lack this symbol. They have the method for which it is an alias.
describe.skipIf(!hasSymbol)("Symbol.asyncDispose", () => {
	for (const [name, make] of Object.entries(makers)) {
		test(`of ${name} ends what is starting or running and resolves when that has ended, however often it is called`, async () => {
			for (let time = 0; time < 16; time++) {
				const bench = new Bench(make);
				const begun = watch(bench.living.begin());
				await bench.clock.advance(time);
				const disposed = [watch(bench.dispose()), watch(bench.dispose())];
				await settle();
				if (bench.running === 1) expect(disposed.map(({ state }) => state)).toEqual(["pending", "pending"]);
				await bench.clock.advance(20);
				expect([time, bench.running, begun.state]).not.toContain("pending");
				expect([time, bench.running, ...disposed.map(({ state }) => state)]).toEqual([time, 0, "resolved", "resolved"]);
				const before = bench.begun;
				await bench.dispose();
				await bench.clock.advance(100);
				expect([bench.begun, bench.controller.listeners]).toEqual([before, 0]);
				expect(bench.most).toBeLessThanOrEqual(1);
			}
		});

		test(`of ${name} does not keep it from being used again, unless that is refused`, async () => {
			const bench = new Bench(make);
			await bench.dispose();
			const begun = watch(bench.living.begin());
			await bench.clock.advance(4);
			if (bench.living.isOver) expect(begun).toMatchObject({ state: "rejected", error: { name: "InvalidStateError" } });
			expect(bench.begun).toBe(bench.living.isOver ? 0 : 1);
			const disposed = watch(bench.dispose());
			await bench.clock.advance(20);
			expect([disposed.state, bench.running]).toEqual(["resolved", 0]);
		});
	}
});
