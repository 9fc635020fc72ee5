// Random baskets with batches: two processes on one store, functions that behave in all ways, faults of the store. Laws
// hold at each moment, and after the faults everything is done.
import fc from "../property.ts";
import { expect, test } from "vitest";
import { batch, type BatchContext, type BatchTask, later, retryNow, sleep, stopNow, StoreError } from "../../mod.ts";
import { CallbackTimer } from "../../src/platform/timer-queue.ts";
import { isLong, isNode } from "../support.ts";
import { Machine, running, SpiedStore } from "../basket/support.ts";

/** How a function behaves. Of a call, the tasks with a bit in `failing` fail alone, except the first. */
interface Script {
	readonly end: "return" | "throw" | "reject" | "stop" | "later";
	readonly time: number;
	readonly isPolite: boolean;
	readonly failing: number;
}

/** A kind with batches. */
interface Shape {
	readonly most: number;
	readonly wait: number;
	readonly attempts: number;
	readonly timeout: number;
	readonly abandonAfter: number;
}

interface Add {
	readonly kind: "add";
	readonly name: "send" | "mail" | "single";
	readonly count: number;
	readonly delay: number;
	readonly lane: string | undefined;
}

type Command =
	| Add
	| { readonly kind: "advance"; readonly duration: number }
	| { readonly kind: "delete" | "hold" | "release"; readonly index: number }
	| {
		readonly kind: "pause" | "resume" | "start" | "stop" | "finish" | "fail" | "slow";
		readonly process: number;
	};

const script: fc.Arbitrary<Script> = fc.record({
	end: fc.constantFrom("return", "return", "return", "throw", "reject", "stop", "later"),
	time: fc.constantFrom(0, 0, 3, 20, 100),
	isPolite: fc.boolean(),
	failing: fc.nat(255),
});

const shape: fc.Arbitrary<Shape> = fc.record({
	most: fc.constantFrom(1, 2, 3, 7),
	wait: fc.constantFrom(0, 0, 5, 40),
	attempts: fc.constantFrom(Infinity, Infinity, 1, 4),
	timeout: fc.constantFrom(Infinity, Infinity, 50),
	abandonAfter: fc.constantFrom(Infinity, Infinity, 10),
});

const add: fc.Arbitrary<Command> = fc.record({
	kind: fc.constant("add"),
	name: fc.constantFrom("send", "send", "mail", "single"),
	count: fc.integer({ min: 1, max: 9 }),
	delay: fc.constantFrom(0, 0, 4, 30),
	lane: fc.constantFrom(undefined, undefined, "a", "b"),
});

const command: fc.Arbitrary<Command> = fc.oneof<fc.WeightedArbitrary<Command>[]>(
	{ weight: 8, arbitrary: add },
	{ weight: 8, arbitrary: fc.record({ kind: fc.constant("advance"), duration: fc.nat(25) }) },
	{ weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("delete", "hold", "release"), index: fc.nat(99) }) },
	{
		weight: 5,
		arbitrary: fc.record({
			kind: fc.constantFrom("pause", "resume", "start", "start", "stop", "finish", "fail", "slow"),
			process: fc.nat(1),
		}),
	},
);

const calm: Script = { end: "return", time: 1, isPolite: true, failing: 0 };

class World extends Machine {
	readonly faults: string[] = [];
	readonly ids: string[] = [];
	readonly deleted = new Set<string>();
	/** The tasks that a function works on, until their signals abort. */
	readonly live = new Set<string>();
	/** The tasks whose function has returned without an error. */
	readonly done = new Set<string>();
	isCalm = false;
	/** Whether functions wait for their signals. */
	isHanging = false;
	readonly #scripts: readonly Script[];
	#begun = 0;

	constructor(scripts: readonly Script[]) {
		super();
		this.#scripts = scripts;
	}

	script(): Script {
		if (this.isHanging) return { ...calm, time: 1e9 };
		return this.isCalm ? calm : this.#scripts[this.#begun++ % this.#scripts.length]!;
	}

	expect(isTrue: boolean, text: string): void {
		if (!isTrue) this.faults.push(text);
	}

	enter({ id, signal }: Pick<BatchTask<unknown>, "id" | "signal">): void {
		this.expect(!signal.aborted, `${id} begins aborted`);
		this.expect(!this.live.has(id), `${id} runs twice`);
		this.live.add(id);
		signal.addEventListener("abort", () => this.live.delete(id));
	}
}

class Process {
	readonly world: World;
	readonly spied: SpiedStore;
	readonly basket: ReturnType<Process["create"]>;
	readonly concurrency: number;
	/** The number of running calls and single tasks in this session: those of earlier ones may have been abandoned. */
	session = { calls: 0 };
	readonly #isAbandoning: boolean;

	constructor(world: World, concurrency: number, shapes: readonly Shape[]) {
		this.world = world;
		this.concurrency = concurrency;
		this.#isAbandoning = shapes.some(({ abandonAfter }) => abandonAfter < Infinity);
		this.spied = new SpiedStore(world.memory);
		this.basket = this.create(shapes);
	}

	// deno-lint-ignore explicit-function-return-type -- it is inferred from the kinds
	create([send, mail]: readonly Shape[]) {
		const { concurrency, spied: { store } } = this;
		const kind = ({ most, wait, ...options }: Shape) => {
			const run = batch({ most, wait }, (tasks: readonly BatchTask<number>[], context) => {
				this.world.expect(tasks.length > 0 && tasks.length <= most, `${tasks.length} of ${most} in a call`);
				return this.#work(tasks, context);
			});
			return { ...options, run, backoff: 10 };
		};
		const single = (_: number, context: object) => this.#work([context as BatchTask<number>]);
		const tasks = { send: kind(send!), mail: kind(mail!), single: { run: single, backoff: 10 } };
		return this.world.basket(tasks, { concurrency, store, lease: 3_000, grace: 50 });
	}

	start(): ReturnType<typeof running> {
		this.session = { calls: 0 };
		return running(this.basket);
	}

	/** The store fails or is slow for some time. */
	disturb(kind: "fail" | "slow"): void {
		const { clock } = this.world;
		const { spied } = this;
		if (kind === "slow") spied.after = (member) => member === "turn" ? sleep(15, { clock }) : undefined;
		else {
			spied.before = (member) => {
				if (member === "turn") throw new StoreError("unavailable", "away");
			};
		}
		clock.set(new CallbackTimer(() => spied.before = spied.after = undefined), 120);
	}

	async #work(tasks: readonly BatchTask<number>[], context?: BatchContext): Promise<void> {
		const { world, session } = this;
		const { clock } = world;
		const { end, time, isPolite, failing } = world.script();
		const left = new Set(tasks.map(({ id }) => id));
		const lanes = tasks.flatMap(({ lane }) => lane ?? []);
		world.expect(new Set(lanes).size === lanes.length, `several tasks of a lane in a call: ${lanes}`);
		for (const task of tasks) world.enter(task);
		if (++session.calls > this.concurrency && !this.#isAbandoning) world.faults.push(`${session.calls} at once`);
		try {
			await sleep(time, { clock, signal: isPolite ? (context ?? tasks[0]!).signal : undefined });
			context?.fail("nobody", new Error("unknown"));
			for (const [index, { id }] of tasks.entries()) {
				if (context === undefined || index === 0 || !(failing >> index & 1)) continue;
				world.live.delete(id);
				left.delete(id);
				context.fail(id, new Error("alone"));
			}
			if (end === "stop") throw stopNow(new Error("gone"));
			if (end === "later") throw later(5);
			if (end === "throw") throw tasks[0]!.attempt === 1 ? retryNow() : new Error("together");
			if (end === "reject") await Promise.reject(new Error("rejected"));
			for (const id of left) world.done.add(id);
		} finally {
			session.calls--;
			for (const id of left) world.live.delete(id);
		}
	}
}

async function play(
	shapes: readonly Shape[],
	concurrency: number,
	scripts: readonly Script[],
	commands: readonly Command[],
): Promise<void> {
	const world = new World(scripts);
	const { clock, ids } = world;
	const processes = [0, 1].map(() => new Process(world, concurrency, shapes));
	const [{ basket }] = processes as [Process];
	const runs: (ReturnType<typeof running> | undefined)[] = [];
	const add = ({ name, count, delay, lane }: Add) => {
		for (let index = 0; index < count; index++) {
			const id = `${name} ${ids.length}`;
			ids.push(id);
			void basket.add(name, 1, { id, delay, lane: lane && `${name} ${lane}` });
		}
	};
	const change = (kind: "delete" | "hold" | "release", id: string | undefined) => {
		if (id === undefined) return;
		if (kind === "delete") world.deleted.add(id);
		void basket[kind](id);
	};
	const control = (process: number, kind: Extract<Command, { process: number }>["kind"]) => {
		const one = processes[process]!;
		if (kind === "fail" || kind === "slow") one.disturb(kind);
		else if (kind === "pause" || kind === "resume") one.basket[kind]();
		else if (kind === "start") runs[process] ??= one.start();
		else {
			runs[process] = undefined;
			void one.basket.stop({ finish: kind === "finish" ? 20 : 0 });
		}
	};
	for (const command of commands) {
		if (command.kind === "advance") await clock.advance(command.duration);
		else if (command.kind === "add") add(command);
		else if ("index" in command) change(command.kind, ids[command.index]);
		else control(command.process, command.kind);
	}
	// The faults end. All processes start anew.
	await clock.advance(200);
	world.isCalm = true;
	for (const process of processes) {
		void process.basket.stop();
		process.basket.resume();
	}
	for (const id of ids) void basket.release(id);
	await clock.advance(200);
	const last = processes.map((process) => process.start());
	await clock.advance(30_000);
	expect(world.faults).toEqual([]);
	const { dead, ...counts } = await basket.counts();
	expect(counts).toEqual({ waiting: 0, running: 0, held: 0, done: 0 });
	const undone = ids.filter((id) => !world.done.has(id) && !world.deleted.has(id));
	expect(undone.length).toBeLessThanOrEqual(dead);
	// No slot is lost: as many single tasks run at once as may.
	world.isHanging = true;
	await basket.addMany(Array.from({ length: 20 }, () => ({ kind: "single" as const, payload: 1 })));
	await clock.advance(1_000);
	expect(processes.map(({ session }) => session.calls)).toEqual([concurrency, concurrency]);
	for (const run of last) {
		void run.stop();
		await clock.advance(100);
		await run.done;
	}
	expect(clock.pending).toBe(0);
}

test("batch() holds its laws with random kinds, functions, commands and faults", async () => {
	const shapes = fc.tuple(shape, shape);
	const scripts = fc.array(script, { minLength: 1, maxLength: 20 });
	const commands = fc.array(command, { maxLength: 60, size: "max" });
	const property = fc.asyncProperty(shapes, fc.integer({ min: 1, max: 3 }), scripts, commands, play);
	await fc.assert(property, { numRuns: isNode ? (isLong ? 1_000 : 300) : 40 });
});
