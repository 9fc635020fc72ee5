// Helpers for the tests of jobs: processes in virtual time on one database, each of which can lose its access.
import { Processor, type ProcessorOptions, type Store } from "../../mod.ts";
import type { Data, LogEntry, StoredTask } from "../../src/store.ts";
import { jsonCodec } from "../../src/basket/engine.ts";
import { readJob } from "../../src/job/stored.ts";
import { soon } from "../../src/platform/soon.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import type { Connection, Database, OpenDatabase } from "./database.ts";

type Call = (...args: unknown[]) => Promise<unknown>;

/**
 * Decides the fault of a store call. `count` is the number of earlier calls of the member by this process. The
 * `commit` of a transaction is such a call, too.
 */
export type Fault = (member: string, count: number) => "die before" | "die after" | Error | undefined;

const members = [
	...[
		"open",
		"add",
		"turn",
		"complete",
		"extend",
		"save",
		"log",
		"get",
		"list",
		"counts",
		"delete",
		"change",
		"hasten",
		"post",
		"pause",
		"pauses",
	],
];

/** After these calls a process may have work. */
const waking = ["add", "delete", "change", "hasten", "post", "pause", "commit"];

/**
 * Returns a promise that never settles, for a dead process. Each call returns a new promise, because a shared one
 * would retain all dead processes.
 */
function never(): Promise<never> {
	return new Promise(() => {});
}

/** The number of machines, which separates the data of the tests in one database. */
let machines = 0;

/** A machine with a clock, a database, and processes that may die. */
export class Machine {
	readonly clock: VirtualClock = new VirtualClock({ now: 1_000_000 });
	/** The name of the basket. */
	readonly name: string = `jobs-${++machines}`;
	readonly errors: unknown[] = [];
	/** The store calls of all processes. */
	readonly calls: string[] = [];
	/** The store without a process. */
	readonly store: Store<unknown>;
	/** The number of macrotasks without a database operation after which only the time can make the processes continue. */
	patience = 2;
	readonly #database: Database;
	readonly #main: Connection;
	readonly #connections: Connection[] = [];
	readonly #watchers = new Set<() => void>();
	/** The pending database operations of live processes. */
	readonly #busy = new Set<object>();
	#onFree = () => {};

	constructor(database: Database) {
		this.#database = database;
		this.#main = this.#connect();
		const { store } = this.#main;
		const through = Object.fromEntries(members.map((member) => [member, this.#through(store, member)]));
		this.store = { ...through, capabilities: store.capabilities } as never;
	}

	/** Advances the time. Database operations take no virtual time, because the clock waits for them. */
	async advance(duration: number): Promise<void> {
		const { clock } = this;
		const end = clock.monotonic() + duration;
		for (let isLast = false;;) {
			await this.#quiet();
			const left = Math.max(end - clock.monotonic(), 0);
			const { nextIn = Infinity } = clock;
			if (nextIn > left) {
				if (left === 0 || isLast) return;
				isLast = true;
			}
			const step = Math.min(nextIn, left);
			if (step > 0) await this.#database.setTime?.(clock.now() + step);
			await clock.advance(step);
		}
	}

	/** Wraps a store call of a test, possibly in a step, so that the clock waits for it. */
	#through(store: Store<unknown>, member: string): Call {
		return async (...args) => {
			const call = {};
			this.begin(call);
			return await (store[member as "open"] as Call).apply(store, args).finally(() => this.end(call));
		};
	}

	/** Resolves when only the time can make the processes continue. */
	async #quiet(): Promise<void> {
		for (let count = 0; count < this.patience; count++) {
			await new Promise<void>(soon);
			while (this.#busy.size > 0) {
				count = 0;
				await new Promise<void>((resolve) => this.#onFree = resolve);
			}
		}
	}

	begin(call: object): void {
		this.#busy.add(call);
	}

	/** Lets the clock wait for something. */
	async await(something: unknown): Promise<void> {
		const call = {};
		this.begin(call);
		await something;
		this.end(call);
	}

	end(call: object): void {
		if (this.#busy.delete(call)) this.#onFree();
	}

	#connect(): Connection {
		const connection = this.#database.connect(this.clock, this.name);
		this.#connections.push(connection);
		return connection;
	}

	process(fault?: Fault): Process {
		return new Process(this, this.#connect(), fault);
	}

	/** Creates a processor in its own process. */
	processor(
		jobs: ProcessorOptions["jobs"],
		// deno-lint-ignore no-explicit-any -- any database
		options: Partial<ProcessorOptions<any>> = {},
		fault?: Fault,
		// deno-lint-ignore no-explicit-any -- any database
	): Processor<any> {
		return this.process(fault).processor(jobs, options);
	}

	/**
	 * Wakes a process after store calls of any process. Notifications of the stores take real time and have their own
	 * tests.
	 */
	watch(wake: () => void): () => void {
		this.#watchers.add(wake);
		return () => this.#watchers.delete(wake);
	}

	wake(): void {
		for (const wake of [...this.#watchers]) wake();
	}

	/** Returns the lines that `Process.write()` has committed. */
	async lines(): Promise<string[]> {
		return await this.#main.lines();
	}

	/** Starts a processor, which runs until it is stopped. */
	start(processor: Pick<Processor, "run">): { stop(): Promise<void>; done: Promise<void> } {
		const controller = new AbortController();
		const done = processor.run({ signal: controller.signal });
		return {
			done,
			stop: () => {
				controller.abort(new Error("stopped by the test"));
				return done;
			},
		};
	}

	/** Drains a processor without advancing the time. */
	async drain(processor: Pick<Processor, "drain">): Promise<void> {
		const drained = processor.drain();
		let isOver = false;
		const end = () => void (isOver = true);
		drained.then(end, end);
		// A drain uses timers without a delay.
		while (!isOver) await this.advance(0);
		await drained;
	}

	/** Claims a job like a process that dies immediately afterwards, and waits for the end of its lease. */
	async crash(kind: string, lease = 30_000): Promise<string | undefined> {
		const { claims } = await this.store.turn(this.name, { settle: [], claim: [{ kinds: [kind], limit: 1 }], lease });
		await this.advance(lease);
		return claims[0]?.id;
	}

	/** Returns the stored task of a job. */
	async stored(id: string): Promise<StoredTask & { readonly state: string; readonly payload: string }> {
		return await this.store.get(this.name, id) as never;
	}

	// deno-lint-ignore no-explicit-any -- tests read internal fields
	async head(id: string): Promise<any> {
		return JSON.parse((await this.stored(id)).payload);
	}

	/** The head of a job, continued by its log. */
	// deno-lint-ignore no-explicit-any -- tests read internal fields
	async checkpoint(id: string): Promise<any> {
		return await readJob(jsonCodec, undefined, { record: await this.stored(id) as never, entries: await this.log(id) });
	}

	/** The log of a job. */
	async log(id: string): Promise<readonly LogEntry[]> {
		return (await this.store.log(this.name, [{ id, after: 0, limit: 10_000 }]))[0]!;
	}

	/** Replaces the kind and the payload of a waiting job, and its log. */
	async replace(id: string, kind: string, payload: string, log?: readonly Data[]): Promise<void> {
		const entries = log ?? (await this.log(id)).map(({ data }) => data);
		await this.store.delete(this.name, [id]);
		// The priority makes it the first one that is claimed.
		await this.store.add(this.name, [{ id, kind, payload, delay: 0, priority: 100 }]);
		if (entries.length === 0) return;
		const turn = { claim: [{ kinds: [kind], limit: 1 }], lease: 30_000 };
		const { claims } = await this.store.turn(this.name, { settle: [], ...turn });
		const settle = claims.map((ref) => ({ ref, outcome: { type: "release" } as const, log: { after: 0, entries } }));
		await this.store.turn(this.name, { ...turn, settle, claim: [] });
	}

	close(): void {
		for (const connection of this.#connections) connection.cut();
	}
}

/** A process, which has its own connection and may die. */
export class Process {
	/** The store as this process sees it. A dead process gets no more answers. */
	readonly store: Store<unknown>;
	isDead = false;
	/** Called when the process dies. */
	onDeath: () => void = () => {};
	readonly #machine: Machine;
	readonly #connection: Connection;
	readonly #fault: Fault;
	/** The pending calls. */
	readonly #calls = new Set<object>();
	#count = 0;

	constructor(machine: Machine, connection: Connection, fault: Fault = () => undefined) {
		this.#machine = machine;
		this.#connection = connection;
		this.#fault = fault;
		const store = Object.fromEntries(members.map((member) => [member, this.#through(member)]));
		const watch = (_basket: string, wake: () => void) => machine.watch(() => this.isDead || wake());
		this.store = { ...store, watch, capabilities: connection.store.capabilities } as never;
	}

	// deno-lint-ignore no-explicit-any -- any database
	processor(jobs: ProcessorOptions["jobs"], options: Partial<ProcessorOptions<any>> = {}): Processor<any> {
		const { clock, name, errors } = this.#machine;
		// deno-lint-ignore no-explicit-any -- any database
		return new Processor<any>({
			store: this.store,
			name,
			clock,
			backoff: { start: 1_000, factor: 2, max: 3_600_000 },
			onError: (error) => errors.push(error),
			jobs,
			...options,
		});
	}

	/** Writes a line in one transaction with the changes of `work`. `tx` is a transaction of the store. */
	// deno-lint-ignore no-explicit-any -- any database
	async write(line: string, work: (tx: any) => Promise<unknown>): Promise<void> {
		const call = this.#begin();
		let verdict: ReturnType<Fault>;
		try {
			await this.#connection.write(line, async (tx) => {
				await work(tx);
				verdict = this.#ask("commit");
				if (verdict === "die before") this.die();
				if (this.isDead) await never();
				if (verdict instanceof Error) throw verdict;
			});
			if (verdict === "die after") this.die();
			if (!this.isDead) this.#machine.wake();
		} finally {
			this.#end(call);
			if (this.isDead) await never();
		}
	}

	/** Ends the process. Open transactions will not commit. */
	die(): void {
		if (this.isDead) return;
		this.isDead = true;
		// Its locks are not there anymore when others go on.
		void this.#machine.await(this.#connection.cut());
		for (const call of this.#calls) this.#machine.end(call);
		this.onDeath();
	}

	#through(member: string): Call {
		const { store } = this.#connection;
		const original = (store[member as "open"] as Call).bind(store);
		return async (...args) => {
			if (this.isDead) return await never();
			const verdict = this.#ask(member);
			if (verdict instanceof Error) throw verdict;
			if (verdict === "die before") {
				this.die();
				return await never();
			}
			const call = this.#begin();
			try {
				return await original(...args);
			} finally {
				if (verdict === "die after") this.die();
				if (this.isDead) await never();
				this.#end(call);
				if (waking.includes(member)) this.#machine.wake();
			}
		};
	}

	#ask(member: string): ReturnType<Fault> {
		this.#machine.calls.push(member);
		return this.#fault(member, this.#count++);
	}

	#begin(): object {
		const call = {};
		this.#calls.add(call);
		this.#machine.begin(call);
		return call;
	}

	#end(call: object): void {
		this.#calls.delete(call);
		this.#machine.end(call);
	}
}

/** Calls a test with a function that creates machines on a shared database, and cuts their connections afterwards. */
export async function withMachines(
	open: () => Promise<Database>,
	body: (make: () => Promise<Machine>) => Promise<void>,
): Promise<void> {
	const database = await open();
	const made: Machine[] = [];
	const make = async () => {
		const machine = new Machine(database);
		made.push(machine);
		await database.setTime?.(machine.clock.now());
		await machine.store.open();
		return machine;
	};
	try {
		await body(make);
	} finally {
		for (const machine of made) machine.close();
	}
}

/** Opens the database on first use. */
export function once(open: OpenDatabase): { get(): Promise<Database>; close(): Promise<void> } {
	let opening: Promise<Database> | undefined;
	return {
		get: () => opening ??= open(),
		close: async () => await (await opening)?.close(),
	};
}
