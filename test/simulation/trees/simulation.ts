// A simulation of jobs with children: processes add, cancel, restart, hold and delete them during all kinds of faults. When
// the faults end, each job must end, and so must all below it.
import type { Job } from "../../../mod.ts";
import type { StoredTask } from "../../../src/store.ts";
import type { JobShape } from "./shapes.ts";
import type { TreeWorld } from "./world.ts";
import { StoreError } from "../../../mod.ts";
import { treeProblem } from "./judge.ts";
import { TreeProcess } from "./process.ts";
import { basket, childrenOf, isAlive } from "./stored.ts";

const actions = {
	"add": 6,
	"advance": 25,
	"kill": 1.5,
	"cut": 1,
	"stop": 2,
	"work": 3,
	"cancel": 2,
	"cancel a child": 1,
	"restart": 3,
	"hold": 0.5,
	"release": 2,
	"delete a child": 0.3,
	"delete": 0.2,
};

export class TreeSimulation {
	readonly #world: TreeWorld;
	#processes = 0;
	#roots = 0;
	readonly #ids = new Set<string>();

	constructor(world: TreeWorld) {
		this.#world = world;
	}

	/** The number of jobs that were added. */
	get roots(): number {
		return this.#roots;
	}

	async run(): Promise<void> {
		const { profile: { processes, steps }, clock, random } = this.#world;
		await this.#world.store.open();
		for (let step = 0; step < steps && this.#isRight; step++) {
			while (this.#world.processes.length < processes) this.#start(this.#deployed());
			const action = random.weighted(actions);
			await this.#act(action, random.pick(this.#world.processes));
			await clock.advance(action === "advance" ? random.pick([1, 10, 200, 1_000, 5_000, 20_000]) : 0);
		}
		if (this.#isRight) await this.#calmDown();
		for (const id of this.#ids) {
			if (!this.#isRight) break;
			const problem = await treeProblem(this.#world, id);
			if (problem !== undefined) this.#world.fail(problem);
		}
		for (const process of [...this.#world.processes]) process.stop();
		await clock.advance(60_000);
		if (this.#isRight && clock.pending > 0) this.#world.fail(`${clock.pending} timers are left`);
	}

	get #isRight(): boolean {
		return this.#world.failure === undefined;
	}

	/** What a process of some deploy has: one version of the jobs that are added, or both. */
	#deployed(): readonly JobShape[] {
		const { shapes, random } = this.#world;
		const version = random.pick([1, 2, undefined, undefined]);
		return shapes.filter((shape) => shape.version === undefined || version === undefined || shape.version === version);
	}

	#start(shapes: readonly JobShape[]): void {
		this.#world.processes.push(new TreeProcess(this.#world, `p${++this.#processes}`, shapes));
	}

	async #act(action: keyof typeof actions, process: TreeProcess): Promise<void> {
		const { random, profile, store } = this.#world;
		const root = this.#ids.size > 0 ? random.pick([...this.#ids]) : undefined;
		switch (action) {
			case "add":
				return this.#roots < profile.roots ? this.#add(process) : undefined;
			case "kill":
				return profile.deaths > 0 ? process.kill() : undefined;
			case "cut":
				return process.cut();
			case "stop":
				return process.stop();
			case "work":
				return process.work();
		}
		if (root === undefined || action === "advance") return;
		const { processor } = process;
		if (action === "cancel") this.#call(process, `cancel ${root}`, processor.cancel(root));
		if (action === "restart") {
			const from = random.pick(["start", "failure"] as const);
			this.#call(process, `restart ${root} from ${from}`, processor.retry(root, { from }));
		}
		if (action === "hold" || action === "release") this.#call(process, `${action} ${root}`, processor[action](root));
		if (action === "delete") {
			this.#call(process, `delete ${root}`, processor.delete(root));
			this.#world.deleted.add(root);
			this.#ids.delete(root);
		}
		if (action !== "cancel a child" && action !== "delete a child") return;
		const children = await childrenOf(store, root);
		if (children.length === 0) return;
		const { id } = random.pick(children);
		if (action === "cancel a child") return this.#call(process, "cancel a child", processor.cancel(id));
		this.#world.deleted.add(id);
		this.#call(process, "delete a child", processor.delete(id));
	}

	#add(process: TreeProcess): void {
		const { random } = this.#world;
		const roots = [...process.jobs].filter(([{ version }]) => version !== undefined);
		const [{ version }, job] = random.pick(roots);
		const id = `root${++this.#roots}`;
		this.#ids.add(id);
		this.#call(process, `add ${id} of version ${version}`, process.processor.add(job as Job, undefined, { id }));
	}

	#call({ name }: TreeProcess, what: string, call: Promise<unknown>): void {
		const { trace, fail } = this.#world;
		trace(`${name}: ${what}`);
		call.then((value) => trace(`${name}: ${what} is done: ${JSON.stringify(value)}`), (error) => {
			trace(`${name}: ${what} has failed: ${error}`);
			if (!(error instanceof StoreError)) fail(`${name}: ${what} rejects with ${error}`);
		});
	}

	/** Ends all faults. Then all jobs must end. */
	async #calmDown(): Promise<void> {
		const { clock, store, processes, shapes, trace, fail } = this.#world;
		trace("calm");
		this.#world.isCalm = true;
		this.#start(shapes);
		for (const process of processes) process.heal();
		// Calls that nobody answers are given up.
		await clock.advance(60_000);
		for (let round = 0; round < 360 && this.#isRight; round++) {
			for (const process of processes) process.work();
			const alive = [];
			for (const id of this.#ids) {
				const task = await store.get(basket, id);
				// An add whose answer is lost may not have come to the store.
				if (task === undefined) this.#ids.delete(id);
				else if (isAlive(task)) alive.push(task);
			}
			if (alive.length === 0) return;
			await store.change(basket, alive.map(({ id }) => id), "release");
			await clock.advance(10_000);
			if (round < 359) continue;
			const left: string[] = [];
			for (
				let task: StoredTask | undefined = alive[0];
				task !== undefined;
				task = (await childrenOf(store, task.id)).find(isAlive)
			) {
				left.push(`${task.id} is ${task.state} ${task.error ?? ""} ${task.payload}`);
			}
			fail(`This has not ended after an hour of calm: ${left.join("; ")}`);
		}
	}
}
