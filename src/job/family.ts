/**
 * The children of a job as their parent sees them: it lists them, sleeps until they have ended, and lets them begin anew.
 *
 * It never sleeps without a join that will wake it: it arms one, lists the children that have not ended, and sleeps only if
 * these are enough for the join. It waits for half of them, so that it finds soon a number that is small enough, however fast
 * they end, and is woken few times.
 *
 * @module
 */

import type { Join, Outcome, Restart, StoredTask } from "../basket/store.ts";
import type { AnyJob } from "./definition.ts";
import { JobSteps } from "./job-steps.ts";
import { restartOf, type RestartSource } from "./restarting.ts";
import type { JobMessage, PreparedStep } from "./state.ts";

/** The number of children that are added or read at once. */
export const pageSize = 500;

/** The place of a child in the list of its parent. */
export function indexOf({ id }: Pick<StoredTask, "id">): number {
	return Number(id.slice(id.lastIndexOf("/") + 1));
}

/** Whether a child has ended. */
export function isOver({ state }: Pick<StoredTask, "state">): boolean {
	return state === "done" || state === "dead";
}

export abstract class FamilyJob<Tx> extends JobSteps<Tx> {
	/** The number of ends for which this claim has armed the join. */
	#armed = Infinity;

	/** The id of a child of the step at `at`. */
	protected childId(at: number, index: number | ""): string {
		return `${this.state.uid}/${at}/${index}`;
	}

	/** The definition of the children of a step. */
	protected jobOf({ definition: { name, type, options } }: PreparedStep): AnyJob {
		return type === "job" ? options.job! : this.job.items!.get(name)!;
	}

	/** The children of the step at `at`, in the order in which they were added or begun anew. */
	protected async *children(at: number): AsyncGenerator<StoredTask, void, undefined> {
		const { owner: { store, name }, task: { id: parent, calls } } = this;
		const prefix = this.childId(at, "");
		let after: string | undefined;
		while (true) {
			const page = await calls.track(() => store.list(name, { parent, after, limit: pageSize }));
			for (const child of page) if (child.id.startsWith(prefix)) yield child;
			if (page.length < pageSize) return;
			after = page.at(-1)!.key;
		}
	}

	protected async joinOf(
		{ definition: { name } }: PreparedStep,
		at: number,
		join: Omit<Join, "name" | "data">,
	): Promise<Join> {
		const message: JobMessage = { type: "joined", at };
		return { name, ...join, data: await this.owner.codec.encode(message) };
	}

	/**
	 * Lets the job sleep until children have ended. Returns how the claim ends; `undefined` if the caller must first count them
	 * again.
	 *
	 * @param alive the number of those that had not ended when the caller counted them
	 * @param spare see {@link Join.spare}
	 */
	protected async sleep(step: PreparedStep, at: number, alive: number, spare?: number): Promise<Outcome | undefined> {
		if (alive >= this.#armed) return await this.later(null);
		const left = Math.ceil(alive / 2);
		this.offspring = { join: await this.joinOf(step, at, { isAnew: true, left, spare }) };
		if (!await this.saveOffspring()) return await this.later(0);
		this.#armed = left;
	}

	/** Saves the state together with {@link offspring}. */
	protected async saveOffspring(): Promise<boolean> {
		try {
			return await this.save();
		} finally {
			this.offspring = undefined;
		}
	}

	/** Lets children that have failed try again where they did. */
	protected async retryAll(children: readonly StoredTask[], job: AnyJob): Promise<void> {
		const { owner: { codec, store: { capabilities: { maxPayload } } }, readLog } = this;
		const source: RestartSource = { codec, readLog, maxPayload };
		for (const child of children) {
			// What cannot be read stays as it is.
			const change = await restartOf(source, job, child, "failure").catch(() => undefined);
			if (change !== undefined) await this.restart(child, change);
		}
	}

	/** Lets a child begin anew, unless it was changed meanwhile. */
	protected async restart({ id }: StoredTask, change: Restart): Promise<void> {
		const { store, name } = this.owner;
		this.#armed = Infinity;
		await this.task.calls.track(() => store.change(name, [id], change));
	}
}
