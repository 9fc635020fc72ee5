// What the tests of jobs need: processors in virtual time on one store, which can be taken away from any of them.
import { memoryStore, Processor, type ProcessorOptions, type Store, type StoredTask } from "../../mod.ts";
import { VirtualClock } from "../../src/testing.ts";

type Call = (...args: unknown[]) => Promise<unknown>;

/** What a test has to say about a call to the store: how often it was called before, by this process. */
export type Fault = (member: string, count: number) => "die before" | "die after" | Error | undefined;

/** A transaction that the store of these tests knows: what it was given to do, it does at its commit. */
export class FakeTransaction {
	readonly #work: (() => void)[] = [];

	push(work: () => void): void {
		this.#work.push(work);
	}

	commit(): void {
		for (const work of this.#work) work();
	}
}

/** A machine with a clock, a store, and processes that may die. */
export class Machine {
	readonly clock: VirtualClock = new VirtualClock({ now: 1_000_000 });
	readonly memory: Store<never> = memoryStore({ clock: this.clock, random: () => 0.5 });
	readonly errors: unknown[] = [];
	/** The members called, of all processes. */
	readonly calls: string[] = [];

	/** A process: a processor on the store. */
	processor(
		jobs: ProcessorOptions["jobs"],
		options: Partial<ProcessorOptions<FakeTransaction>> = {},
		fault?: Fault,
	): Processor<FakeTransaction> {
		return new Processor<FakeTransaction>({
			store: this.store(fault),
			clock: this.clock,
			backoff: { start: 1_000, factor: 2, max: 3_600_000 },
			onError: (error) => this.errors.push(error),
			jobs,
			...options,
		});
	}

	/** The store as a process sees it; once that has died, it gets no answer any more. */
	store(fault: Fault = () => undefined): Store<FakeTransaction> {
		const { memory, calls } = this;
		let count = 0;
		let isDead = false;
		const never = new Promise<never>(() => {});
		const through = (member: string): Call => async (...args) => {
			if (isDead) return await never;
			calls.push(member);
			const verdict = fault(member, count++);
			if (verdict instanceof Error) throw verdict;
			isDead = verdict !== undefined;
			if (verdict === "die before") return await never;
			const result = await call(member, args);
			return isDead ? await never : result;
		};
		const call = (member: string, args: unknown[]): unknown => {
			const tx = member === "save" || member === "add" ? args[2] as FakeTransaction | undefined : undefined;
			const inner = memory[member as "save"] as unknown as Call;
			if (tx === undefined) return inner.apply(memory, args);
			const rest = args.slice(0, 2);
			tx.push(() => void inner.apply(memory, rest));
			return (args[1] as unknown[]).map((item) => member === "save" ? true : { ...item as object, added: true });
		};
		const members = ["open", "add", "turn", "complete", "extend", "save", "get", "list", "counts", "delete", "change"];
		const store = Object.fromEntries([...members, "hasten", "post"].map((member) => [member, through(member)]));
		return { ...store, watch: memory.watch!.bind(memory), capabilities: { ...memory.capabilities, tx: true } } as never;
	}

	/** Runs a processor until it is stopped. */
	start(processor: Processor<FakeTransaction>): { stop(): Promise<void>; done: Promise<void> } {
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
	async drain(processor: Processor<FakeTransaction>): Promise<void> {
		const drained = processor.drain();
		await this.clock.advance(0);
		await drained;
	}

	/** A process that claims a job and dies at once, and the end of its lease. */
	async crash(kind: string, lease = 30_000): Promise<string | undefined> {
		const { claims } = await this.memory.turn("jobs", { settle: [], claim: [{ kinds: [kind], limit: 1 }], lease });
		await this.clock.advance(lease);
		return claims[0]?.id;
	}

	/** What is stored of a job. */
	async stored(id: string): Promise<StoredTask & { readonly state: string; readonly payload: string }> {
		return await this.memory.get("jobs", id) as never;
	}

	// deno-lint-ignore no-explicit-any -- a test looks into what nobody else may
	async checkpoint(id: string): Promise<any> {
		return JSON.parse((await this.stored(id)).payload);
	}

	/** Stores something else of a job that waits. */
	async replace(id: string, kind: string, payload: string): Promise<void> {
		await this.memory.delete("jobs", [id]);
		await this.memory.add("jobs", [{ id, kind, payload, delay: 0, priority: 0 }]);
	}
}
