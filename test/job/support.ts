// What the tests of jobs need: processes in virtual time on one database, which can be taken away from any of them.
import { Processor, type ProcessorOptions, type Store } from "../../mod.ts";
import type { StoredTask } from "../../src/store.ts";
import { soon } from "../../src/platform/soon.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import type { Connection, Database, OpenDatabase } from "./database.ts";

type Call = (...args: unknown[]) => Promise<unknown>;

/**
 * What a test has to say about a call to the store: how often it was called before, by this process. The `commit` of a
 * transaction counts as one.
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
		"get",
		"list",
		"counts",
		"delete",
		"change",
		"hasten",
		"post",
	],
];

/** After these somebody may have something to do. */
const waking = ["add", "delete", "change", "hasten", "post", "commit"];

/** What never comes, to one who has died. Each time another one, which goes with the dead: one for all would keep them for ever. */
function never(): Promise<never> {
	return new Promise(() => {});
}

/** Distinguishes what one test stores from what others do in the same database. */
let machines = 0;

/** A machine with a clock, a database, and processes that may die. */
export class Machine {
	readonly clock: VirtualClock = new VirtualClock({ now: 1_000_000 });
	/** Of the basket. */
	readonly name: string = `jobs-${++machines}`;
	readonly errors: unknown[] = [];
	/** The members called, of all processes. */
	readonly calls: string[] = [];
	/** The store, without any process. */
	readonly store: Store<unknown>;
	readonly #database: Database;
	readonly #main: Connection;
	readonly #connections: Connection[] = [];
	readonly #watchers = new Set<() => void>();
	/** What the database is doing, for a process that lives. */
	readonly #busy = new Set<object>();
	#onFree = () => {};

	constructor(database: Database) {
		this.#database = database;
		this.#main = this.#connect();
		const { store } = this.#main;
		const through = Object.fromEntries(members.map((member) => [member, this.#through(store, member)]));
		this.store = { ...through, capabilities: store.capabilities } as never;
	}

	/** Lets the time pass. What is asked of the database takes none of it: it is waited for. */
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

	/** What a test asks, perhaps in a step, takes no time either. */
	#through(store: Store<unknown>, member: string): Call {
		return async (...args) => {
			const call = {};
			this.begin(call);
			return await (store[member as "open"] as Call).apply(store, args).finally(() => this.end(call));
		};
	}

	/** Resolves when nobody can go on but by time. */
	async #quiet(): Promise<void> {
		for (let count = 0; count < 2; count++) {
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

	/** A processor in a process of its own. */
	processor(
		jobs: ProcessorOptions["jobs"],
		// deno-lint-ignore no-explicit-any -- of any database
		options: Partial<ProcessorOptions<any>> = {},
		fault?: Fault,
		// deno-lint-ignore no-explicit-any -- of any database
	): Processor<any> {
		return this.process(fault).processor(jobs, options);
	}

	/** What stores tell each other of takes real time; that is for tests of their own. */
	watch(wake: () => void): () => void {
		this.#watchers.add(wake);
		return () => this.#watchers.delete(wake);
	}

	wake(): void {
		for (const wake of [...this.#watchers]) wake();
	}

	/** What was committed with `Process.write()`. */
	async lines(): Promise<string[]> {
		return await this.#main.lines();
	}

	/** Runs a processor until it is stopped. */
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

	/** Works off what is due, without any time passing. */
	async drain(processor: Pick<Processor, "drain">): Promise<void> {
		const drained = processor.drain();
		let isOver = false;
		const end = () => void (isOver = true);
		drained.then(end, end);
		// It has timers of no delay.
		while (!isOver) await this.advance(0);
		await drained;
	}

	/** A process that claims a job and dies at once, and the end of its lease. */
	async crash(kind: string, lease = 30_000): Promise<string | undefined> {
		const { claims } = await this.store.turn(this.name, { settle: [], claim: [{ kinds: [kind], limit: 1 }], lease });
		await this.advance(lease);
		return claims[0]?.id;
	}

	/** What is stored of a job. */
	async stored(id: string): Promise<StoredTask & { readonly state: string; readonly payload: string }> {
		return await this.store.get(this.name, id) as never;
	}

	// deno-lint-ignore no-explicit-any -- a test looks into what nobody else may
	async checkpoint(id: string): Promise<any> {
		return JSON.parse((await this.stored(id)).payload);
	}

	/** Stores something else of a job that waits. */
	async replace(id: string, kind: string, payload: string): Promise<void> {
		await this.store.delete(this.name, [id]);
		await this.store.add(this.name, [{ id, kind, payload, delay: 0, priority: 0 }]);
	}

	close(): void {
		for (const connection of this.#connections) connection.cut();
	}
}

/** What has a connection of its own, and may die. */
export class Process {
	/** The store as this process sees it; once it has died, it gets no answer any more. */
	readonly store: Store<unknown>;
	isDead = false;
	/** Told that it has died. */
	onDeath: () => void = () => {};
	readonly #machine: Machine;
	readonly #connection: Connection;
	readonly #fault: Fault;
	/** What is under way. */
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

	// deno-lint-ignore no-explicit-any -- of any database
	processor(jobs: ProcessorOptions["jobs"], options: Partial<ProcessorOptions<any>> = {}): Processor<any> {
		const { clock, name, errors } = this.#machine;
		// deno-lint-ignore no-explicit-any -- of any database
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

	/** Writes a line in the same transaction as what `work` does with that; `tx` is whatever the store takes. */
	// deno-lint-ignore no-explicit-any -- of any database
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

	/** Nothing that was not committed will be. */
	die(): void {
		if (this.isDead) return;
		this.isDead = true;
		this.#connection.cut();
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

/** Calls a test with what makes machines on a database of several tests, and cuts their connections afterwards. */
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

/** A database that is opened when it is first needed. */
export function once(open: OpenDatabase): { get(): Promise<Database>; close(): Promise<void> } {
	let opening: Promise<Database> | undefined;
	return {
		get: () => opening ??= open(),
		close: async () => await (await opening)?.close(),
	};
}
