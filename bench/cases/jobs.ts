// Existing jobs of five no-op steps, until the completion of all jobs is stored. In the hand-written version a job is
// a row. Its results are written to the row after each step, in a commit of its own or together with those of the
// other jobs of a batch. openworkflow claims one run at a time, and polls again after 50 ms or more when it has
// claimed enough. Therefore more concurrent runs make it faster, and it may run all jobs at once.
import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AnyJob, job, Processor } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, parameters, type Round, timeRounds } from "../measure.ts";

type Synchronous = "FULL" | "NORMAL";

/** A queue of added jobs. */
interface Queue {
	/** Resolves when the completion of all jobs is stored. */
	process: () => Promise<void>;
	/** The number of completed jobs. */
	completed: () => number | Promise<number>;
}

const steps = 5;
const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-jobs-"));
const count = parameters().get("plan") === "quick" ? 200 : 1_000;
let files = 0;
let done = 0;

try {
	const [library, concurrency, synchronous] = split(parameters().get("case")!);
	const make = {
		"node:sqlite by hand": byHand,
		Processor: processor,
		openworkflow,
	}[library]!;
	await timeRounds(count, () => setUp(() => make(concurrency, synchronous)));
} finally {
	rmSync(folder, { recursive: true, force: true });
}
process.exit();

/** Splits a label such as "Processor, 10, FULL". */
function split(label: string): [string, number, Synchronous] {
	const [library, ...rest] = label.split(", ");
	return [
		library!,
		rest.length > 1 ? Number.parseInt(rest[0]!) : 1,
		rest.at(-1) as Synchronous,
	];
}

async function setUp(make: () => Queue | Promise<Queue>): Promise<Round> {
	const queue = await make();
	done = 0;
	const verify = async (): Promise<void> => {
		expect(await queue.completed(), count);
		expect(done, count * steps);
	};
	return { work: () => queue.process(), verify };
}

/** A step whose result must be stored. It is async, although it awaits nothing. */
// deno-lint-ignore require-await
async function step(): Promise<number> {
	return ++done;
}

function open(synchronous: Synchronous): DatabaseSync {
	const db = new DatabaseSync(newFile());
	db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`);
	return db;
}

function newFile(): string {
	return join(folder, `${files++}.db`);
}

function byHand(batch: number, synchronous: Synchronous): Queue {
	const db = open(synchronous);
	db.exec(
		"CREATE TABLE job (id INTEGER PRIMARY KEY, done INTEGER NOT NULL, results TEXT NOT NULL) STRICT",
	);
	const add = db.prepare("INSERT INTO job (done, results) VALUES (0, '{}')");
	const save = db.prepare("UPDATE job SET done = ?, results = ? WHERE id = ?");
	const inTransaction = (work: () => void): void => {
		db.exec("BEGIN IMMEDIATE");
		work();
		db.exec("COMMIT");
	};
	inTransaction(() => {
		for (let i = 0; i < count; i++) add.run();
	});
	return {
		process: async () => {
			for (let first = 1; first <= count; first += batch) {
				const jobs = Array.from(
					{ length: batch },
					(_, i) => ({ id: first + i, results: {} as Record<string, number> }),
				);
				for (let number = 1; number <= steps; number++) {
					await Promise.all(
						jobs.map(async ({ results }) => results[`step ${number}`] = await step()),
					);
					inTransaction(() => jobs.forEach(({ id, results }) => save.run(number, JSON.stringify(results), id)));
				}
			}
		},
		completed: () =>
			db.prepare("SELECT count(*) AS count FROM job WHERE done = 5")
				.get()!["count"] as number,
	};
}

async function processor(
	concurrency: number,
	synchronous: Synchronous,
): Promise<Queue> {
	const name = job("job");
	const whole = name.step("step 1", { run: step }).step("step 2", { run: step })
		.step("step 3", { run: step })
		.step("step 4", { run: step }).step("step 5", { run: step });
	const store = sqliteStore(open(synchronous));
	const processor = new Processor({
		store,
		jobs: [whole as AnyJob],
		concurrency,
	});
	await Promise.all(Array.from({ length: count }, () => processor.add(whole)));
	return {
		process: () => processor.drain(),
		completed: async () => {
			expect(processor.getSnapshot().completed, count);
			return (await store.counts("jobs")).done;
		},
	};
}

async function openworkflow(
	_: number,
	synchronous: Synchronous,
): Promise<Queue> {
	const { OpenWorkflow } = await import("openworkflow");
	const { BackendSqlite } = await import("openworkflow/sqlite");
	const backend = BackendSqlite.connect(newFile());
	// openworkflow has no option for this.
	(backend as unknown as { db: DatabaseSync }).db.exec(
		`PRAGMA synchronous = ${synchronous}`,
	);
	const client = new OpenWorkflow({ backend });
	const workflow = client.defineWorkflow({ name: "job" }, async (context) => {
		for (let number = 1; number <= steps; number++) {
			await context.step.run({ name: `step ${number}` }, step);
		}
	});
	for (let i = 0; i < count; i++) await workflow.run();
	const completed = async (): Promise<number> => (await backend.countWorkflowRuns()).completed;
	return {
		process: async () => {
			const worker = client.newWorker({ concurrency: count });
			await worker.start();
			while (await completed() < count) {
				await new Promise((resolve) => setTimeout(resolve, 1));
			}
			void worker.stop();
		},
		completed,
	};
}
