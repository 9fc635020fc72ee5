/**
 * The jobs that run in this process, and their outcomes.
 *
 * @module
 */

import { type Ending, type Endings, endingWith, type JobClaim } from "../basket/engine.ts";
import type { Outcome } from "../basket/store.ts";
import type { JobSettled } from "./options.ts";
import type { JobOwner } from "./owner.ts";
import type { JobCheckpoint, JobStatus, PreparedJob } from "./state.ts";
import type { ClaimedJob } from "./claimed-job.ts";
import type { Engine } from "./engine.ts";
import { JobRun } from "./job-run.ts";
import type { LiveJob } from "./view.ts";
import { observe } from "../platform/observe.ts";

export class LiveJobs<Tx> {
	/** The numbers of jobs that ended here, by status. */
	readonly totals: Record<JobStatus, number> = { completed: 0, reverted: 0, failed: 0 };
	readonly #owner: JobOwner<Tx>;
	readonly #endings: Endings<JobCheckpoint>;
	readonly #onSettled: ((settled: JobSettled) => void) | undefined;
	readonly #runs = new Map<string, ClaimedJob<Tx>>();

	constructor(
		owner: JobOwner<Tx>,
		endings: Endings<JobCheckpoint>,
		onSettled: ((settled: JobSettled) => void) | undefined,
	) {
		this.#owner = owner;
		this.#endings = endings;
		this.#onSettled = onSettled;
	}

	/** Resumes a claimed job, and determines how the claim ends. Rejects if it was aborted or has lost its claim. */
	async run(job: PreparedJob, claim: JobClaim): Promise<Ending> {
		const { id } = claim;
		const { resume } = job.job.engine as Engine ?? {};
		const run = resume?.(this.#owner, job, claim) ?? new JobRun(this.#owner, job, claim);
		this.#runs.set(id, run);
		try {
			const outcome = await run.run(claim.claim.payload);
			return endingWith(outcome, () => this.#settled(run, outcome), run.part);
		} finally {
			if (this.#runs.get(id) === run) this.#runs.delete(id);
			this.#owner.onChange();
		}
	}

	/** Checks a job for messages. Never rejects. */
	async look(id: string): Promise<void> {
		await this.#runs.get(id)?.look();
	}

	/** Ends the claims after the running steps, of the jobs with this name only if there is one. */
	yield(name?: string): void {
		for (const run of this.#runs.values()) if ((name ?? run.name) === run.name) run.yield();
	}

	/** The running jobs by id. */
	show(): ReadonlyMap<string, LiveJob> {
		const jobs = new Map<string, LiveJob>();
		for (const [id, run] of this.#runs) {
			if (run.state !== undefined && !run.isLeft) {
				jobs.set(id, { id, job: run.name, itemOf: run.job.itemOf, ...run.place });
			}
		}
		return jobs;
	}

	/** The end of a claim is stored. */
	#settled(run: ClaimedJob<Tx>, { type }: Outcome): void {
		const { task: { id }, state, heldFor, replay } = run;
		if (type !== "done" && replay !== undefined) this.#owner.replays.put(id, replay);
		if (heldFor !== undefined) return this.#tell(run, { status: "held", error: heldFor });
		if (type !== "done") return;
		this.totals[state.status!]++;
		this.#endings.tell(id, state);
		this.#tell(run, { ...state, status: state.status! });
	}

	#tell(
		{ task: { id }, name: job, job: { itemOf } }: ClaimedJob<Tx>,
		end: Pick<JobCheckpoint, "error" | "revertError" | "unreverted"> & Pick<JobSettled, "status">,
	): void {
		const { status, error, revertError, unreverted = [] } = end;
		observe(this.#owner.onError, this.#onSettled, { id, job, itemOf, status, error, revertError, unreverted });
	}
}
