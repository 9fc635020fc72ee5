// Helpers for the tests of the engine: a basket on the memory store in virtual time, and a store that a test can
// observe and break.
import { Basket, type BasketOptions, memoryStore, type Store, type TaskMap, type TaskSettled } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

type Member = Exclude<keyof Store<unknown>, "capabilities">;
type Call = (...args: never[]) => unknown;

/** Forwards all calls to another store, counts them, and lets a test intercept them. */
export class SpiedStore {
	readonly calls: string[] = [];
	readonly store: Store<never>;
	/** Called before each call of a member. If it throws, the call fails; if it returns a promise, the call waits for it. */
	before: ((member: Member, args: readonly unknown[]) => unknown) | undefined;
	/** Called with the result of each call. */
	after: ((member: Member, result: unknown) => unknown) | undefined;

	constructor(inner: Store<never>, capabilities: Partial<Store["capabilities"]> = {}) {
		const members: Partial<Record<Member, Call>> = {};
		for (const member of ["open", "add", "turn", "complete", "extend", "save", "hasten"] as const) {
			members[member] = async (...args: unknown[]) => {
				this.calls.push(member);
				await this.before?.(member, args);
				const result = await (inner[member] as Call)(...args as never[]);
				await this.after?.(member, result);
				return result;
			};
		}
		const rest = ["get", "list", "counts", "delete", "change", "pause", "pauses", "post", "watch"] as const;
		for (const member of rest) members[member] = (inner[member] as Call).bind(inner);
		this.store = { capabilities: { ...inner.capabilities, ...capabilities }, ...members } as unknown as Store<never>;
	}

	/** Returns the number of calls of a member. */
	count(member: Member): number {
		return this.calls.filter((call) => call === member).length;
	}
}

/** A clock, a store, and any number of baskets on the store. */
export class Machine {
	readonly clock: VirtualClock = new VirtualClock({ now: 1_000_000 });
	readonly memory: Store<never> = memoryStore({ clock: this.clock, random: () => 0.5 });
	readonly spied: SpiedStore = new SpiedStore(this.memory);
	readonly errors: unknown[] = [];
	readonly settled: TaskSettled[] = [];

	basket<Tasks extends TaskMap<never>>(
		tasks: Tasks,
		options: Partial<BasketOptions<Tasks, never>> = {},
	): Basket<Tasks, never> {
		return new Basket<Tasks, never>({
			store: this.spied.store,
			clock: this.clock,
			backoff: { start: 1_000, factor: 2, max: 3_600_000 },
			onError: (error) => this.errors.push(error),
			onSettled: (settled) => this.settled.push(settled),
			...options,
			tasks,
		});
	}

	/** Drains a basket without advancing the time. */
	async drain(basket: { drain(options?: object): Promise<void> }, options?: { signal?: AbortSignal }): Promise<void> {
		const drained = basket.drain(options);
		drained.catch(() => {});
		await this.clock.advance(0);
		await drained;
	}

	/** Claims a task like a process that dies immediately afterwards. */
	async crash(kind: string, lease = 30_000, worker?: string): Promise<string | undefined> {
		const claim = [{ kinds: [kind], limit: 1 }];
		const { claims } = await this.memory.turn("default", { settle: [], claim, lease, worker });
		return claims[0]?.id;
	}
}

/** Starts a run that the test ends. */
export function running(basket: { run(options: { signal: AbortSignal }): Promise<void> }): {
	stop: (reason?: unknown) => Promise<void>;
	done: Promise<void>;
	controller: AbortController;
} {
	const controller = new AbortController();
	const done = basket.run({ signal: controller.signal });
	return {
		controller,
		done,
		stop: (reason) => {
			controller.abort(reason);
			return done;
		},
	};
}
