// A simulation of a basket: processes add, change and read tasks during all kinds of faults.
import type { NewBasketTask } from "../../mod.ts";
import type { BasketWorld } from "./basket-world.ts";
import type { Action } from "./profile.ts";
import { sleep } from "../../mod.ts";
import { BasketProcess } from "./basket-process.ts";
import { longestRetry } from "./excuses.ts";
import { describe } from "./ledger.ts";
import type { Random } from "./random.ts";
import { Simulation } from "./simulation.ts";
import { kinds, laneRuns, limitsOf, makeLimits, type makeTasks, plainKinds } from "./tasks.ts";

/** Where the tasks with an id belong, so that most of them can replace each other. */
type Place = { readonly kind: typeof plainKinds[number]; readonly lane: string | undefined };
/** A task whose payload is not collected. */
type PlainTask = Exclude<NewBasketTask<ReturnType<typeof makeTasks>>, { readonly kind: "gathered" }>;

/**
 * The time in milliseconds within which all tasks must be done after all processes are alive and connected: the
 * longest delay of an add, the longest backoff, two leases, the longest delay of a retried store call, and the
 * longest sleep of a worker.
 */
const patience = 60_000 + 32_000 + 2 * 30_000 + longestRetry + 60_000;

export class BasketSimulation extends Simulation<BasketWorld, BasketProcess, Action> {
	#tasks = 0;
	readonly #places = new Map<string, Place>();

	protected get actions(): BasketWorld["profile"]["actions"] {
		return this.world.profile.actions;
	}

	protected makeProcess(name: string): BasketProcess {
		return new BasketProcess(this.world, name);
	}

	protected actSpecially(action: Action, process: BasketProcess): void {
		switch (action) {
			case "add":
				return this.#add(process, 1);
			case "add many":
				return this.#add(process, 1 + this.world.random.below(8));
			case "replace":
				return this.#replace(process);
			case "collect":
				return this.#collect(process);
			case "pause all":
				return this.#pause(process);
			case "resume all":
				return this.#resume(process, this.world.random.pick([...this.world.ledger.paused, undefined]));
			case "finish":
				return process.finish(this.world.random.pick([10, 1_000, 10_000, 60_000]));
			case "pause":
				return process.pause();
			case "resume":
				return process.resume();
			case "hint":
				return process.hint();
			case "crash":
				return void this.#crash();
			case "hold":
			case "release":
			case "retry":
			case "delete":
				return this.#change(process, action);
			case "deploy":
				return void (this.world.limits = makeLimits(this.world.random));
			case "look":
				return this.#look(process);
		}
	}

	#add(process: BasketProcess, count: number): void {
		const { random, profile } = this.world;
		if (this.#tasks + count > profile.tasks) return;
		this.#tasks += count;
		const isRun = count > 1 && random.chance(0.3);
		const entries = Array.from({ length: count }, () => {
			if (isRun) return { ...this.#entry(undefined, false), kind: "laned" as const, lane: "c" };
			const id = random.chance(0.7) ? `t${random.below(profile.tasks / 2)}` : undefined;
			return this.#entry(id, id !== undefined && random.chance(0.4));
		});
		this.#submit(process, entries);
	}

	/** Replaces a task that is there, or was just there. */
	#replace(process: BasketProcess): void {
		const { random, ledger } = this.world;
		const ids = [...ledger.entries.keys()].filter((id) => this.#places.has(id));
		const isRunning = (id: string) => ledger.entries.get(id)!.state === "running";
		const running = ids.filter(isRunning);
		const among = running.length > 0 && random.chance(0.6) ? running : ids;
		if (among.length > 0) this.#submit(process, [this.#entry(random.pick(among), true)]);
	}

	/** Adds items of one task. */
	#collect(process: BasketProcess): void {
		const { random } = this.world;
		const id = `c${random.below(3)}`;
		const delay = random.chance(0.5) ? random.pick([1, 100, 5_000, 60_000]) : 0;
		const entries = Array.from({ length: 1 + random.below(4) }, () => ({
			kind: "gathered" as const,
			payload: this.world.payload(),
			id,
			ifPresent: "collect" as const,
			delay,
			within: random.pick([undefined, delay, delay + 500, delay + 30_000]),
			most: random.pick([1, 2, 5, 100]),
			meta: random.chance(0.3) ? { from: "page" } : undefined,
			lane: id === "c0" ? "a" : undefined,
		}));
		this.#handleAdd(process, process.basket.addMany(entries));
	}

	#entry(id: string | undefined, isReplacing: boolean) {
		const { random } = this.world;
		const { kind, lane } = this.#placeOf(id);
		const delay = random.chance(0.3) ? random.pick([1, 100, 5_000, 60_000]) : 0;
		const within = random.pick([undefined, delay, delay + 500, delay + 30_000]);
		return {
			kind,
			payload: {
				...this.world.payload(keyOf(random, id)),
				...(kind === "strange" && random.chance(0.2) ? { isBroken: true } : {}),
			},
			id,
			delay,
			priority: random.chance(0.2) ? random.pick([-1, 1, 2]) : 0,
			lane,
			meta: random.chance(0.3) ? { from: random.pick(["page", "worker"]) } : undefined,
			...(isReplacing ? { ifPresent: "replace" as const, within } : {}),
		};
	}

	#placeOf(id: string | undefined): Place {
		const { random } = this.world;
		const known = id === undefined ? undefined : this.#places.get(id);
		if (known !== undefined && random.chance(0.95)) return known;
		const isLimited = this.world.profile.isLimited && random.chance(0.8);
		const kind = random.pick(isLimited ? ["narrow", "slow"] as const : plainKinds);
		const place = { kind, lane: random.chance(0.5) ? random.pick(["a", "b"]) : undefined };
		if (id !== undefined && known === undefined) this.#places.set(id, place);
		return place;
	}

	#submit(process: BasketProcess, entries: readonly PlainTask[]): void {
		const { basket } = process;
		const [{ kind, payload, ...options }] = entries as [typeof entries[0]];
		const added: Promise<unknown> = entries.length === 1 ? basket.add(kind, payload, options) : basket.addMany(entries);
		this.#handleAdd(process, added);
	}

	#handleAdd(process: BasketProcess, added: Promise<unknown>): void {
		// The ledger checks that the refusal is right.
		this.handle(
			process,
			"add",
			added,
			(error) => error instanceof TypeError && /cannot be replaced/.test(error.message),
		);
	}

	#pause(process: BasketProcess): void {
		const { random } = this.world;
		this.handle(process, "pause", process.pauseStored(random.chance(0.2) ? undefined : random.pick(kinds), true));
	}

	#resume(process: BasketProcess, kind: string | undefined): void {
		this.handle(process, "resume", process.pauseStored(kind, false));
	}

	/** Another process claims a task repeatedly and dies each time. */
	async #crash(): Promise<void> {
		const { random, clock, ledger } = this.world;
		const limits = limitsOf(this.world.limits);
		const store = ledger.storeFor({ name: "somebody", isAlive: false, limits });
		const kind = random.pick(this.world.profile.isLimited ? ["narrow", "slow"] as const : kinds);
		await store.open();
		for (let times = 1 + random.below(3); times > 0; times--) {
			const claim = [{ kinds: [kind], limit: 1 }];
			await store.turn("simulated", { settle: [], claim, lease: 1, limits, runs: laneRuns });
			await sleep(2, { clock });
		}
	}

	/** Changes a task, which exists in most cases. */
	#change(process: BasketProcess, change: "hold" | "release" | "retry" | "delete"): void {
		const { random, ledger } = this.world;
		const ids = [...ledger.entries.keys()];
		const id = ids.length > 0 && random.chance(0.9) ? random.pick(ids) : "nobody";
		this.handle(process, change, process.basket[change](id));
		// Another task may soon have the same id while a process still runs the deleted one.
		if (change === "delete" && !id.startsWith("_") && random.chance(0.7)) {
			this.handle(process, "add", process.basket.add("endless", this.world.payload(), { id }));
		}
	}

	#look(process: BasketProcess): void {
		const { random, ledger } = this.world;
		const { basket } = process;
		this.handle(process, "counts", basket.counts());
		this.handle(process, "pauses", basket.pauses());
		this.handle(process, "get", basket.get([...ledger.entries.keys()].at(random.below(5)) ?? "nobody"));
		this.handle(process, "list", readAll(basket.list({ state: random.pick([undefined, "waiting", "dead", "done"]) })));
	}

	protected async calmDown(): Promise<void> {
		const { clock, ledger, hanging, processes } = this.world;
		await this.settleDown();
		const end = clock.monotonic() + patience + this.world.setBack;
		while (clock.monotonic() < end && this.isRight()) {
			for (const end of hanging) end();
			hanging.clear();
			for (const process of processes) {
				if (process.isPaused) process.resume();
				if (!process.isWorking) process.work(false);
			}
			for (const kind of ledger.paused) this.#resume(processes[0]!, kind);
			const held = [...ledger.entries.values()].filter(({ isHeld }) => isHeld);
			for (const { id } of held) this.handle(processes[0]!, "release", processes[0]!.basket.release(id));
			await clock.advance(10_000);
			this.world.check();
			// A late add may still arrive.
			if (processes.some(({ calls }) => calls > 0)) continue;
			if ([...ledger.entries.values()].every(({ state }) => state === "dead" || state === "done")) return;
		}
		const left = [...ledger.entries.values()].find(({ state }) => state !== "dead" && state !== "done");
		if (left !== undefined) this.world.fail(`${describe(left)} is not done after ${patience} ms of calm`);
	}

	/** Checks that all totals are correct, and that nothing is left behind. */
	protected override async finish(): Promise<void> {
		const { ledger, processes } = this.world;
		const { basket } = processes[0]!;
		await Promise.all([basket.counts(), readAll(basket.list()), ledger.checkMarks()]);
		await this.world.clock.advance(30_000);
		for (const process of processes) this.world.checkIdle(process);
		const { added, done, deleted } = ledger.totals;
		const dead = [...ledger.entries.values()].filter(({ state }) => state === "dead").length;
		if (added !== done + deleted + dead) {
			this.world.fail(`${added} were added, ${done} done, ${deleted} deleted, and ${dead} are dead`);
		}
		this.world.checkNewest();
		this.world.checkItems();
		await super.finish();
	}
}

/** The limit key of a task, which is always the same for an id. */
function keyOf(random: Random, id: string | undefined): string {
	return `${id === undefined ? random.below(2) : id.charCodeAt(id.length - 1) % 2}`;
}

async function readAll(tasks: AsyncIterable<unknown>): Promise<void> {
	for await (const _ of tasks);
}
