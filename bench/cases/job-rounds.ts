// Jobs of no-op steps in SQLite, until the completion of all jobs is stored. The hand-written version claims jobs for a
// time, and writes each result in a commit of its own, if the claim still holds: into the row of the job, or into a table
// of results if there are many steps. Or it claims a batch of jobs, and writes the results of all of them in one commit.
// openworkflow claims one run at a time, and polls again after 50 ms or more when it has claimed enough. Therefore more
// concurrent runs make it faster, and it may run all jobs at once.
import { mkdtempSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AnyJob, durable, type Job, job, Processor } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, type Round, timeRounds } from "../measure.ts";

export interface JobRounds {
	readonly library: string;
	/** How many jobs run at once. */
	readonly concurrency: number;
	readonly synchronous: string;
	/** The number of jobs. */
	readonly count: number;
	/** The number of steps of each. */
	readonly steps: number;
}

/** A queue of added jobs. */
interface Queue {
	/** Resolves when the completion of all jobs is stored. */
	process: () => Promise<void>;
	/** The number of completed jobs. */
	completed: () => number | Promise<number>;
}

/** A job that the hand-written version has claimed. */
interface Claimed {
	readonly id: number;
	readonly token: number;
	readonly results: Record<string, number>;
}

const openers: Record<string, (rounds: JobRounds) => Queue | Promise<Queue>> = {
	"node:sqlite by hand": byHand,
	"Processor": processor,
	"Processor, durable": processor,
	openworkflow,
};
/** With more steps, the hand-written version has a row for each result. */
const mostInRow = 100;
const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-jobs-"));
let files = 0;
let done = 0;

/** Measures one job, or one step of a job if there are many. */
export async function measureJobs(rounds: JobRounds, operations: number): Promise<void> {
	try {
		await timeRounds(operations, () => setUp(rounds));
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

/** Splits a label such as "Processor, durable, 10, FULL" or "DBOS, 10". */
export function splitLabel(label: string): Pick<JobRounds, "library" | "concurrency" | "synchronous"> {
	const [, library, concurrency = 1, synchronous = ""] = /^(.*?)(?:, (\d+))?(?:, (FULL|NORMAL))?$/.exec(label)!;
	return { library: library!, concurrency: Number(concurrency), synchronous };
}

async function setUp(rounds: JobRounds): Promise<Round> {
	const queue = await openers[rounds.library]!(rounds);
	done = 0;
	const verify = async (): Promise<void> => {
		expect(await queue.completed(), rounds.count);
		expect(done, rounds.count * rounds.steps);
	};
	return { work: () => queue.process(), verify };
}

/** A step whose result must be stored. It is async, although it awaits nothing. */
// deno-lint-ignore require-await
export async function step(): Promise<number> {
	return ++done;
}

function open(synchronous: string): DatabaseSync {
	const db = new DatabaseSync(newFile());
	db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`);
	return db;
}

function newFile(): string {
	return join(folder, `${files++}.db`);
}

function byHand({ concurrency, synchronous, count, steps }: JobRounds): Queue {
	const db = open(synchronous);
	db.exec(`
		CREATE TABLE job (
			id INTEGER PRIMARY KEY, done INTEGER NOT NULL DEFAULT 0, results TEXT NOT NULL DEFAULT '{}',
			due INTEGER NOT NULL DEFAULT 0, token INTEGER NOT NULL DEFAULT 0
		) STRICT;
		CREATE INDEX waiting ON job (due, id) WHERE done < ${steps};
		CREATE TABLE result (job INTEGER, step INTEGER, value TEXT, PRIMARY KEY (job, step)) WITHOUT ROWID, STRICT;
	`);
	const inTransaction = (work: () => void): void => {
		db.exec("BEGIN IMMEDIATE");
		work();
		db.exec("COMMIT");
	};
	const add = db.prepare("INSERT INTO job DEFAULT VALUES");
	inTransaction(() => {
		for (let i = 0; i < count; i++) add.run();
	});
	const claim = db.prepare(`
		UPDATE job SET due = ?, token = token + 1 WHERE id IN (
			SELECT id FROM job WHERE due <= ? AND done < ${steps} ORDER BY due, id LIMIT ${concurrency}
		) RETURNING id, token`);
	const end = db.prepare("UPDATE job SET done = ? WHERE id = ? AND token = ?");
	const append = db.prepare("INSERT INTO result SELECT id, ?, ? FROM job WHERE id = ? AND token = ?");
	const update = db.prepare("UPDATE job SET done = ?, results = ? WHERE id = ? AND token = ?");
	const save = (number: number, { id, token, results }: Claimed): void => {
		if (steps <= mostInRow) return void update.run(number, JSON.stringify(results), id, token);
		append.run(number, JSON.stringify(results[`step ${number}`]), id, token);
		if (number === steps) end.run(number, id, token);
	};
	const isOneStatement = (number: number): boolean => concurrency === 1 && (steps <= mostInRow || number < steps);
	return {
		process: async () => {
			for (;;) {
				const now = Date.now();
				const jobs = (claim.all(now + 30_000, now) as unknown as Claimed[]).map((job) => ({ ...job, results: {} }));
				if (jobs.length === 0) return;
				for (let number = 1; number <= steps; number++) {
					await Promise.all(jobs.map(async ({ results }: Claimed) => results[`step ${number}`] = await step()));
					if (isOneStatement(number)) save(number, jobs[0]!);
					else inTransaction(() => jobs.forEach((job) => save(number, job)));
				}
			}
		},
		completed: () => db.prepare(`SELECT count(*) AS count FROM job WHERE done = ${steps}`).get()!["count"] as number,
	};
}

async function processor(rounds: JobRounds): Promise<Queue> {
	const { concurrency, synchronous, count, library } = rounds;
	const definition = library === "Processor" ? chain(rounds) : asFunction(rounds);
	const store = sqliteStore(open(synchronous));
	const processor = new Processor({ store, jobs: [definition], concurrency });
	await Promise.all(Array.from({ length: count }, () => processor.add(definition, undefined)));
	return {
		process: () => processor.drain(),
		completed: async () => {
			expect(processor.getSnapshot().completed, count);
			return (await store.counts("jobs")).done;
		},
	};
}

export function chain({ steps }: Pick<JobRounds, "steps">): AnyJob {
	// deno-lint-ignore no-explicit-any -- each step has a result of its own
	let whole: Job<any, any, any, any, any> = job("job");
	for (let number = 1; number <= steps; number++) whole = whole.step(`step ${number}`, { run: step });
	return whole;
}

export function asFunction({ steps }: Pick<JobRounds, "steps">): AnyJob {
	return durable("job", async (flow) => {
		let last = 0;
		for (let number = 1; number <= steps; number++) last = await flow.step(`step ${number}`, step);
		return last;
	});
}

async function openworkflow({ synchronous, count, steps }: JobRounds): Promise<Queue> {
	const { OpenWorkflow } = await import("openworkflow");
	const { BackendSqlite } = await import("openworkflow/sqlite");
	const backend = BackendSqlite.connect(newFile());
	// openworkflow has no option for this.
	(backend as unknown as { db: DatabaseSync }).db.exec(`PRAGMA synchronous = ${synchronous}`);
	const client = new OpenWorkflow({ backend });
	const workflow = client.defineWorkflow({ name: "job" }, async (context) => {
		for (let number = 1; number <= steps; number++) await context.step.run({ name: `step ${number}` }, step);
	});
	for (let i = 0; i < count; i++) await workflow.run();
	const completed = async (): Promise<number> => (await backend.countWorkflowRuns()).completed;
	return {
		process: async () => {
			const worker = client.newWorker({ concurrency: count });
			await worker.start();
			while (await completed() < count) await new Promise((resolve) => setTimeout(resolve, 1));
			void worker.stop();
		},
		completed,
	};
}
