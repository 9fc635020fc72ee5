// The guarantees of the README that need a server; see test/guarantees.test.ts.
import { AsyncLocalStorage } from "node:async_hooks";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { Basket, Group, memoryStore, poll, Pool, run, sleep } from "../../../mod.ts";
import { sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { VirtualClock } from "../../../src/testing/testing.ts";
import { running } from "../../basket/support.ts";
import { growthOf } from "../../heap.ts";

describe("At least once", () => {
	test("With `complete(tx)` the effect of a task happens exactly once", async () => {
		const folder = mkdtempSync(join(tmpdir(), "upkeep-once-"));
		const clock = new VirtualClock({ now: 1_000_000 });
		const lease = 1_000;
		const never = new Promise<void>(() => {});
		try {
			const db = new DatabaseSync(join(folder, "a.db"));
			db.exec("CREATE TABLE effects (id)");
			const store = sqliteStore(db, { clock });
			// The points at which the first run of a task hangs, as if its process had died, or fails.
			const ends = ["before the commit", "after the commit", "rolled back", "thrown after the commit", "nothing"];
			const begun: string[] = [];
			const basket = new Basket({
				store,
				clock,
				lease,
				grace: 0,
				backoff: 10,
				tasks: {
					pay: async (end: string, { id, complete }) => {
						const isFirst = !begun.includes(id);
						begun.push(id);
						if (isFirst && end === "before the commit") await never;
						await store.transaction(async (tx) => {
							db.prepare("INSERT INTO effects VALUES (?)").run(id);
							await complete(tx);
							if (isFirst && end === "rolled back") throw new Error(end);
						});
						if (isFirst && end === "after the commit") await never;
						if (isFirst && end === "thrown after the commit") throw new Error(end);
					},
				},
			});
			for (const end of ends) await basket.add("pay", end, { id: end });
			const first = running(basket);
			await clock.advance(lease / 2);
			const stopped = first.stop();
			await clock.advance(lease);
			await stopped;
			const second = running(basket);
			await clock.advance(60_000);
			const over = second.stop();
			await clock.advance(0);
			await over;
			expect(
				db.prepare("SELECT id, count(*) AS n FROM effects GROUP BY id ORDER BY id").all().map((row) => ({ ...row })),
			)
				.toEqual([...ends].sort().map((id) => ({ id, n: 1 })));
			expect([begun.length > ends.length, (await basket.counts()).waiting]).toEqual([true, 0]);
			db.close();
		} finally {
			rmSync(folder, { recursive: true, force: true });
		}
	});
});

describe("Nothing is left behind", () => {
	test("100,000 uses of one signal leave the heap flat", async () => {
		const use = (signal: AbortSignal) => run(({ signal }) => signal.aborted, { signal, timeout: 60_000 });
		expect(await growthOf(use, 100_000, 16)).toBeLessThan(16);
	}, 60_000);
});

describe("Each caller for itself", () => {
	test("Your functions run in the async context of the call that requested them", async () => {
		const storage = new AsyncLocalStorage<string>();
		const clock = new VirtualClock();
		const seen: string[] = [];
		const pool = new Pool({ max: 1, clock });
		const ask = (name: string) =>
			storage.run(name, async () => {
				const look = (where: string) => void seen.push(`${name} ${storage.getStore()} ${where}`);
				const failing = (where: string) => () => {
					look(where);
					throw new Error("failure");
				};
				const controller = new AbortController();
				const basket = new Basket({
					store: memoryStore({ clock }),
					clock,
					tasks: { a: () => look("basket") },
				});
				const polled = poll(() => look("poll"), { interval: 10, clock });
				await Promise.all([
					run(failing("run"), { attempts: 3, backoff: 10, onAttemptFailed: () => look("hook"), clock }).catch(() => {}),
					new Group({ clock }).spawn("a", failing("group"), { attempts: 3, backoff: 10 }).wait(),
					pool.run(async () => {
						look("pool");
						await sleep(10, { clock });
					}),
					polled.attach(controller.signal).then(() => sleep(35, { clock })),
					basket.add("a", undefined, { delay: 10 }).then(() => Promise.race([basket.run(), sleep(20, { clock })])),
				]);
				controller.abort("enough");
				await basket.stop();
			});
		const all = Promise.all(["ada", "bob", "eve"].map(ask));
		await clock.advance(1_000);
		await all;
		const foreign = seen.filter((line) => line.split(" ")[0] !== line.split(" ")[1]);
		expect(foreign).toEqual([]);
		const places = new Set(seen.map((line) => line.split(" ")[2]));
		expect([...places].sort()).toEqual(["basket", "group", "hook", "poll", "pool", "run"]);
		expect(seen.filter((line) => line.endsWith(" run")).length).toBe(9);
	});

	test("The library causes no unhandled rejection", async () => {
		// Each of these runtimes ends a process with an unhandled rejection. The first program proves this.
		expect((await execute(`Promise.reject(new Error("unhandled"));`)).code).not.toBe(0);
		expect((await execute(storm)).code).toBe(0);
	}, 30_000);

	test("The library logs nothing", async () => {
		expect((await execute(`console.error("seen");`)).output.trim()).toBe("seen");
		expect((await execute(storm)).output.trim()).toBe("");
	}, 30_000);
});

/** Everything that can fail does, and no result is awaited. */
const storm = `
	const fail = () => { throw new Error("failure"); };
	const reject = () => Promise.reject(new Error("failure"));
	const wrong = { subscribe: fail, getSnapshot: fail };
	const group = new Group({ attempts: 2 });
	group.subscribe(fail);
	for (const task of [fail, reject]) {
		group.spawn("task" + group.tasks().size, task, { onAttemptFailed: fail });
		const pool = new Pool({ max: 1, createWorker: task });
		pool.spawn("a", task);
		pool.subscribe(fail);
		setTimeout(() => pool.stop(), 20);
		new Pool({ max: 1 }).spawn("a", task, { restart: task });
		const controller = new AbortController();
		const polled = poll(task, { interval: 5, onAttempt: task });
		polled.attach(controller.signal);
		const shared = new Intermittent(() => task, {});
		shared.attach(controller.signal);
		shared.subscribe(fail);
		setTimeout(() => controller.abort("enough"), 30);
		const lifecycle = new Lifecycle(task, { retry: { attempts: 2 } });
		lifecycle.subscribe(fail);
		lifecycle.start();
		lifecycle.configure("1");
		const basket = new Basket({
			store: memoryStore(),
			attempts: 2,
			backoff: 1,
			onSettled: task,
			onError: fail,
			tasks: { a: task },
		});
		basket.subscribe(fail);
		basket.add("a");
		const working = basket.run({ signal: controller.signal });
		const processor = new Processor({
			store: memoryStore(),
			onError: fail,
			onSettled: fail,
			jobs: [job("j").step("a", { run: () => 1, revert: task, revertAttempts: 1 }).step("b", { run: task })],
		});
		processor.run({ signal: controller.signal });
	}
	await sleep(100);
`;

/** Runs a program in the runtime of the test until it ends by itself. */
function execute(program: string): Promise<{ code: number; output: string }> {
	const library = JSON.stringify(pathToFileURL(join(process.cwd(), "mod.ts")).href);
	const code = `const upkeep = await import(${library});
		const { Basket, Group, Intermittent, job, Lifecycle, memoryStore, Pool, poll, Processor, sleep } = upkeep;
		${program}`;
	const args = "Deno" in globalThis
		? ["eval", "--no-lock", code]
		: "Bun" in globalThis
		? ["-e", code]
		: ["--input-type=module", "-e", code];
	return new Promise((resolve) => {
		execFile(process.execPath, args, { timeout: 25_000 }, (error, stdout, stderr) => {
			resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
		});
	});
}
