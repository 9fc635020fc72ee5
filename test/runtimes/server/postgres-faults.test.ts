// Faults between a basket and Postgres. Work must continue, or wait and report the fault, and no task may be lost.
// The server has real time, so the leases are short and the tests wait for states.
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Clock, sleep, systemClock, type Timer } from "../../../mod.ts";
import { postgresStore } from "../../../src/stores/postgres/postgres.ts";
import { driverNames } from "../../servers/postgres-drivers.ts";
import { PostgresMachine, query } from "../../servers/postgres-machine.ts";
import { createDatabase, effectsOf, endConnections, names, through, until, Work } from "../../servers/postgres-work.ts";
import { mayLackPgBouncer, openPgBouncer } from "../../servers/pgbouncer.ts";
import { Proxy } from "../../servers/proxy.ts";

/** The time limit of a test in milliseconds. It exceeds the time limits of the waits within a test. */
const limit = 40_000;

let machine: PostgresMachine;
const open: { close(): unknown }[] = [];

beforeAll(async () => {
	machine = await PostgresMachine.start();
}, 30_000);

afterAll(async () => {
	for (const each of open.toReversed()) await each.close();
	await machine.close();
}, 30_000);

/** Closes an object after all tests. */
function closing<T extends { close(): unknown }>(each: T): T {
	open.push(each);
	return each;
}

function work(url: string, options?: ConstructorParameters<typeof Work>[2]): Work {
	return closing(new Work("pg", url, options));
}

describe("Basket on Postgres, whose connections are lost", () => {
	test("goes on when the server ends them, and listens again", async () => {
		const url = await createDatabase(machine.url);
		const [worker, adder] = [await work(url).start(), work(url)];
		await adder.add("loose", names("before", 5));
		await worker.untilRan(names("before", 5));
		for (let round = 1; round <= 3; round++) {
			expect(await endConnections(url)).toBeGreaterThan(0);
			await adder.add("loose", names(`after${round}-`, 5));
			await worker.untilRan(names(`after${round}-`, 5));
		}
		await worker.untilDone();
		expect(worker.storeErrors.every(({ code }) => code === "unavailable")).toBe(true);
	}, limit);

	test("loses and doubles nothing when they end in the middle of the work", async () => {
		const url = await createDatabase(machine.url);
		const workers = [await work(url, { duration: 5 }).start(), await work(url, { duration: 5 }).start()];
		const [exact, loose] = [names("exact", 60), names("loose", 60)];
		await workers[0]!.add("exact", exact, "lane");
		await workers[1]!.add("loose", loose);
		for (let round = 0; round < 10; round++) {
			await endConnections(url);
			await sleep(50);
		}
		await workers[0]!.untilDone();
		expect(await effectsOf(url)).toEqual(exact.toSorted());
		expect(new Set(workers.flatMap(({ ran }) => ran))).toEqual(new Set([...exact, ...loose]));
	}, limit);

	test("waits with a backoff while there is no server, says so, and goes on", async () => {
		const url = await createDatabase(machine.url);
		const [worker, adder] = [await work(url).start(), work(url)];
		await adder.add("exact", names("before", 5));
		await worker.untilRan(names("before", 5));
		await machine.stop();
		await expect(adder.basket.add("loose", "never", { id: "never" })).rejects.toMatchObject({
			name: "StoreError",
			code: "unavailable",
			isTransient: true,
		});
		worker.basket.resume(); // makes the worker look for tasks
		await until(() => worker.storeErrors.length > 1, "it says that the server is away", worker);
		const errors = worker.storeErrors.length;
		await sleep(500);
		// Without a backoff there would be thousands of errors.
		expect(worker.storeErrors.length - errors).toBeLessThan(100);
		expect(worker.basket.getSnapshot().state).toBe("running");
		const adding = adder.add("exact", names("after", 5));
		await machine.start();
		await adding;
		await worker.untilRan(names("after", 5));
		await worker.untilDone();
		expect(await effectsOf(url)).toEqual([...names("before", 5), ...names("after", 5)].sort());
	}, limit);

	test("begins to work when the server comes up", async () => {
		const url = await createDatabase(machine.url);
		await machine.stop();
		const worker = work(url);
		const starting = worker.start();
		await until(() => worker.storeErrors.length > 0, "it says that the server is away", worker);
		await machine.start();
		await starting;
		await worker.add("loose", ["one"]);
		await worker.untilRan(["one"]);
	}, limit);
});

describe("Basket on Postgres, which fails over", () => {
	test("goes on with the standby that was promoted; what was added before is there", async () => {
		const primary = closing(await PostgresMachine.start());
		const url = await createDatabase(primary.url);
		const standby = closing(await primary.startStandby());
		const proxy = closing(await Proxy.open(primary.port));
		const worker = await work(through(url, proxy), { duration: 5 }).start();
		const adder = work(through(url, proxy));
		await adder.add("exact", names("before", 40), "lane");
		await worker.untilRan(["before5"]);
		await primary.crash();
		proxy.target = standby.port;
		await standby.promote();
		await adder.add("exact", names("after", 5), "lane");
		await worker.untilDone();
		const all = [...names("before", 40), ...names("after", 5)];
		expect(await effectsOf(through(url, standby))).toEqual(all.toSorted());
		expect(worker.storeErrors.length).toBeGreaterThan(0);
	}, limit);

	test.each([["is still a standby", false], ["has been promoted meanwhile", true]])(
		"is told that a write failed for the time being by a server that %s",
		async (_, isPromotedMeanwhile) => {
			const primary = closing(await PostgresMachine.start());
			const url = await createDatabase(primary.url);
			await work(url).basket.add("loose", "before");
			const standby = closing(await primary.startStandby());
			await primary.crash();
			const client = new Client(through(url, standby));
			await client.connect();
			closing({ close: () => client.end() });
			const promoting = {
				query: (text: string, values?: unknown[]) =>
					client.query(text, values).catch(async (error) => {
						if (isPromotedMeanwhile) await standby.promote();
						throw error;
					}),
			};
			const store = postgresStore(promoting);
			await store.open();
			const turn = () => store.turn("outbox", { settle: [], claim: [{ kinds: ["loose"], limit: 1 }], lease: 1000 });
			await expect(turn()).rejects.toMatchObject({ code: "unavailable", isTransient: true });
			if (isPromotedMeanwhile) await expect(turn()).resolves.toMatchObject({ settled: [] });
		},
		limit,
	);
});

// Skipped only on a desk without PgBouncer.
describe.skipIf(mayLackPgBouncer)("Basket on Postgres behind PgBouncer in transaction mode", () => {
	test.each(driverNames)("adds, runs, completes, and notices what others add, with %s", async (driver) => {
		const url = await createDatabase(machine.url);
		const bouncer = closing(await openPgBouncer(machine.port));
		const options = { isPreparing: false, store: { pollInterval: 100 } };
		const worker = await closing(new Work(driver, through(url, bouncer), options)).start();
		const adder = closing(new Work(driver, through(url, bouncer), options));
		await adder.add("exact", names("exact", 20), "lane");
		await adder.add("loose", names("loose", 20));
		await worker.untilDone();
		for (const name of names("later", 3)) {
			await adder.add("loose", [name]);
			await worker.untilRan([name]);
		}
		expect(await effectsOf(url)).toEqual(names("exact", 20).sort());
		// Notifications do not pass it, and a worker that runs for long enough says so.
		expect(worker.errors.filter((error) => !String(error).includes("connection receives nothing"))).toEqual([]);
	}, limit);
});

describe("Basket on Postgres through a line that is dead", () => {
	test("notices that nobody is heard any more where it listens, and listens again", async () => {
		const url = await createDatabase(machine.url);
		const proxy = closing(await Proxy.open(machine.port));
		const worker = await work(through(url, proxy), { max: 3, store: { pollInterval: 20 } }).start();
		const adder = work(url);
		await adder.add("loose", ["before"]);
		await worker.untilRan(["before"]);
		expect(proxy.freeze(({ said }) => /listen/i.test(said))).toBe(1);
		await adder.add("loose", ["meanwhile"]);
		await worker.untilRan(["meanwhile"]);
		await until(
			() => proxy.lines.some(({ said, isFrozen }) => /listen/i.test(said) && !isFrozen),
			"it listens on another line",
			worker,
		);
	}, limit);

	test("is rid of a task that it holds in a transaction when the server ends that", async () => {
		const url = await createDatabase(machine.url);
		const limit = "idle_in_transaction_session_timeout = 1000";
		await query(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET ${limit}`);
		const proxy = closing(await Proxy.open(machine.port));
		const lost = await work(through(url, proxy), { duration: 500, store: { timeout: 500 } }).start();
		await lost.add("exact", ["one", "two"], "lane");
		const text = "SELECT FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%.turn%'";
		await until(async () => (await query(url, text)).length > 0, "it has completed and not committed", lost);
		proxy.freeze();
		proxy.isHole = true;
		const worker = await work(url).start();
		await worker.untilRan(["two"]);
		await worker.untilDone();
		proxy.isHole = false;
		proxy.thaw();
		expect(await effectsOf(url)).toEqual(["one", "two"]);
	}, limit);

	test("does not wait for an answer for ever, and goes on on another one", async () => {
		const url = await createDatabase(machine.url);
		const proxy = closing(await Proxy.open(machine.port));
		const worker = await work(through(url, proxy), { store: { pollInterval: 20, timeout: 500 } }).start();
		const adder = work(url);
		await adder.add("loose", ["before"]);
		await worker.untilRan(["before"]);
		proxy.freeze();
		await adder.add("loose", ["after"]);
		await worker.untilRan(["after"]);
	}, limit);
});

describe("Basket on Postgres with a limit for statements", () => {
	test("waits for whoever holds its tables, and says so", async () => {
		const url = await createDatabase(machine.url);
		const worker = await work(url).start();
		await worker.add("loose", ["before"]);
		await worker.untilRan(["before"]);
		await query(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET statement_timeout = 100`);
		await endConnections(url); // the limit applies to new connections
		const adder = work(url);
		await adder.basket.open();
		await adder.connected.transaction(async (tx) => {
			await adder.connected.ask(tx, "SET LOCAL statement_timeout = 0");
			await adder.connected.ask(tx, "LOCK TABLE upkeep.tasks IN ACCESS EXCLUSIVE MODE");
			const rejection = { name: "StoreError", code: "busy", isTransient: true };
			await expect(adder.basket.add("loose", "never")).rejects.toMatchObject(rejection);
			worker.basket.resume(); // makes the worker look for tasks
			await until(() => worker.storeErrors.some(({ code }) => code === "busy"), "it says that it waits", worker);
		});
		await adder.add("loose", ["after"]);
		await worker.untilRan(["after"]);
		await worker.untilDone();
	}, limit);
});

/** The clock of a machine with a wrong time. */
class WrongClock implements Clock {
	readonly #by: number;

	constructor(by: number) {
		this.#by = by;
	}

	now(): number {
		return systemClock.now() + this.#by;
	}

	monotonic(): number {
		return systemClock.monotonic();
	}

	set(timer: Timer, delay: number): void {
		systemClock.set(timer, delay);
	}

	clear(timer: Timer): void {
		systemClock.clear(timer);
	}
}

describe("Basket on Postgres, on a machine whose clock is wrong", () => {
	test.each([[-1], [1]])("goes by the server's clock: %d h", async (hours) => {
		const url = await createDatabase(machine.url);
		const basket = { clock: new WrongClock(hours * 3_600_000) };
		const other = await work(url, { duration: 1_500, basket: { concurrency: 1 } }).start();
		await other.add("loose", ["long"]);
		await other.untilRan(["long"]);
		other.basket.pause(); // only the worker runs new tasks
		const worker = await work(url, { basket }).start();
		const since = Date.now();
		await worker.basket.add("loose", "late", { delay: 500 });
		await worker.basket.add("loose", "now");
		await worker.untilRan(["now", "late"]); // after seconds, not after an hour
		expect(Date.now() - since).toBeGreaterThanOrEqual(500);
		const { addedAt } = (await worker.basket.get("long"))!;
		expect(Math.abs(addedAt - since)).toBeLessThan(60_000);
		await other.untilDone();
		expect([worker.ran, other.ran]).toEqual([["now", "late"], ["long"]]);
	}, limit);
});
