// Real Postgres clients whose connections and server are disturbed in many ways. The processes must survive, no task
// may be lost or run concurrently with itself, and all tasks must be done soon after the faults end.
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, type Store } from "../../../mod.ts";
import { postgresStore } from "../../../src/stores/postgres/postgres.ts";
import { connectPostgres, type DriverName, driverNames } from "../../servers/postgres-drivers.ts";
import { PostgresMachine, query } from "../../servers/postgres-machine.ts";
import { createDatabase, effectsOf, endConnections, through, until } from "../../servers/postgres-work.ts";
import { type Line, Proxy } from "../../servers/proxy.ts";
import { isLong } from "../../support.ts";

const lease = 1_500;
const program = fileURLToPath(new URL("../../fixtures/postgres-client.ts", import.meta.url));
/** The driver postgres writes to a lost connection, and its error cannot be caught (porsager/postgres#1154). */
const knownDefect = /Cannot read properties of null \(reading 'write'\)[^]*postgres\/src\/connection\.js/;

type Told = [at: number, what: string, id: string, run: string];

/** A worker process, which is restarted if a known defect of its driver ends it. */
class Client {
	readonly told: Told[] = [];
	readonly faults: string[] = [];
	readonly #args: string[];
	#child!: ChildProcess;
	#isStopped = false;

	constructor(...args: string[]) {
		this.#args = [program, ...args];
		this.#start();
	}

	#start(): void {
		const child = this.#child = spawn(process.execPath, this.#args, { stdio: ["pipe", "pipe", "pipe"] });
		let [rest, complaints] = ["", ""];
		child.stdin!.on("error", () => {}); // the process may have ended
		child.stderr!.setEncoding("utf8").on("data", (text: string) => complaints += text);
		child.stdout!.setEncoding("utf8").on("data", (text: string) => {
			const lines = (rest + text).split("\n");
			rest = lines.pop()!;
			// The driver postgres also prints notices.
			this.told.push(...lines.filter((line) => /^\[\d/.test(line)).map((line) => JSON.parse(line)));
		});
		child.once("close", (code, signal) => {
			const isKnown = knownDefect.test(complaints);
			if (!isKnown && code !== 0) this.faults.push(`ended with ${code ?? signal}: ${complaints}`);
			// The tasks of the ended process no longer run.
			const ends = this.open.map(([, , id, run]): Told => [Date.now(), "end", id, run]);
			this.told.push(...ends);
			if (isKnown && !this.#isStopped) this.#start();
		});
	}

	get open(): Told[] {
		const ended = new Set(this.told.filter(([, what]) => what === "end").map(([, , , run]) => run));
		return this.told.filter(([, what, , run]) => what === "begin" && !ended.has(run));
	}

	get errors(): string[] {
		return this.told.filter(([, what]) => what === "error").map(([, , text]) => text);
	}

	/** Stops the whole process for a while. */
	async freeze(duration: number): Promise<void> {
		this.#child.kill("SIGSTOP");
		await sleep(duration);
		this.#child.kill("SIGCONT");
	}

	async close(): Promise<void> {
		this.#isStopped = true;
		const closed = new Promise((resolve) => this.#child.once("close", resolve));
		if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
		this.#child.stdin!.end("stop");
		await Promise.race([closed, sleep(10_000)]);
		this.#child.kill("SIGKILL");
		await closed;
	}
}

interface Scene {
	readonly machine: PostgresMachine;
	readonly url: string;
	readonly proxy: Proxy;
}

/** Waits for a connection that satisfies the condition, and cuts it. */
async function cutWhere(proxy: Proxy, isMeant: (line: Line) => boolean): Promise<void> {
	for (let count = 0; count < 100 && proxy.cut(isMeant) === 0; count++) await sleep(2);
}

function ending(signal: "SIGINT" | "SIGQUIT" | "SIGKILL") {
	return async ({ machine }: Scene) => {
		await machine.end(signal);
		await machine.start();
	};
}

/** The disturbances of connections and server. Three connections get all of them in a long run, the others a third. */
const disturbances: readonly ((scene: Scene) => unknown)[] = [
	({ proxy }) => proxy.cut(), // a reset at any time
	({ proxy }) => cutWhere(proxy, ({ said }) => /turn_\d+\([^]{0,200}$/.test(said)), // during a query
	async ({ proxy }) => { // slow connections
		for (let count = 0; count < 5; count++) {
			proxy.freeze();
			await sleep(60);
			proxy.thaw();
			await sleep(20);
		}
	},
	({ url }) => endConnections(url), // connections that the server closes
	({ proxy }) => cutWhere(proxy, ({ said }) => /commit[^a-z]{0,20}$/i.test(said)), // during a commit, with an unknown result
	async ({ proxy }) => { // all data is lost, also on new connections
		proxy.isHole = true;
		proxy.freeze();
		await sleep(lease + 500);
		proxy.isHole = false;
		proxy.cut(({ isFrozen }) => isFrozen);
	},
	ending("SIGKILL"),
	ending("SIGQUIT"),
	ending("SIGINT"),
];

async function disturb(scene: Scene, max: number, part: number): Promise<void> {
	for (const [index, disturbance] of disturbances.entries()) {
		if (!(isLong && max === 3) && index % 3 !== part) continue;
		await disturbance(scene);
		await sleep(200);
	}
}

/** Returns overlapping runs of one task in any processes. */
function overlaps(told: readonly Told[]): string[] {
	const ends = new Map<string, number>();
	for (const [at, what, , run] of told) if (what === "end" && !ends.has(run)) ends.set(run, at);
	const runs = told.filter(([, what]) => what === "begin").map(([at, , id, run]) => ({
		id,
		at,
		end: ends.get(run) ?? Infinity,
	}));
	return runs.filter((one) =>
		runs.some((other) => other !== one && other.id === one.id && one.at < other.at && other.at < one.end - 1)
	)
		.map(({ id, at, end }) => `${id} ran from ${at} to ${end} and meanwhile`);
}

/** Resolves when all tasks are done, which must happen soon after the lost leases and the delays have ended. */
async function untilDone(store: Store, clients: readonly Client[], count: number): Promise<void> {
	const end = performance.now() + 10_000 + lease * 2 + count * 50;
	for (;;) {
		const { waiting, running, dead } = await store.counts("default").catch(() => ({ waiting: 1, running: 0, dead: 0 }));
		if (waiting + running + dead === 0) return;
		if (performance.now() > end) {
			const why = clients.flatMap(({ errors, faults }) => [...faults, ...errors.slice(-5)]).join("\n");
			throw new Error(`Of ${count} there are ${waiting} waiting, ${running} running, ${dead} dead: ${why}`);
		}
		await sleep(20);
	}
}

describe("Basket on Postgres with real clients", () => {
	let machine: PostgresMachine;
	beforeAll(async () => {
		machine = await PostgresMachine.start({ settings: { synchronous_commit: "on" } });
	}, 30_000);
	afterAll(() => machine?.close(), 30_000);

	async function prepare(driver: DriverName, max: number) {
		const url = await createDatabase(machine.url);
		const proxy = await Proxy.open(machine.port);
		const adder = connectPostgres("pg", url, { max: 2 });
		await adder.store.open();
		const ids: string[] = [];
		/** Retries with the same ids until the tasks are added. */
		const add = async (count: number) => {
			const names = Array.from({ length: count }, () => `t${ids.length + 1}-${Math.random()}`);
			const tasks = names.map((id, index) => ({
				...{ id, kind: index % 2 ? "exact" : "loose", payload: JSON.stringify(id), delay: 0, priority: 0 },
				...(index % 5 === 0 ? { lane: "lane" } : {}),
			}));
			while (!await adder.store.add("default", tasks).then(() => true, () => sleep(50))) { /* again */ }
			ids.push(...names);
		};
		const clients = [1, 2].map(() => new Client(driver, through(url, proxy), `${max}`, `${lease}`));
		const close = async () => {
			for (const client of clients) await client.close();
			await adder.close();
			await proxy.close();
		};
		return { url, proxy, add, ids, clients, adder, close };
	}

	const rows = driverNames.flatMap((driver) => [1, 3, 10].map((max, part) => [driver, max, part] as const));
	test.each(rows)("%s, %d connections: goes on after lines and server were lost", async (driver, max, part) => {
		const { url, proxy, add, ids, clients, adder, close } = await prepare(driver, max);
		try {
			await add(40);
			await until(() => clients.every(({ told }) => told.length > 0), "both work", { errors: clients[0]!.faults });
			let isOver = false;
			const adding = (async () => {
				while (!isOver) await add(10).then(() => sleep(150));
			})();
			await disturb({ machine, url, proxy }, max, part);
			isOver = true;
			await adding;
			await add(20);
			await untilDone(adder.store, clients, ids.length);
			const told = clients.flatMap((client) => client.told);
			expect(clients.flatMap(({ faults }) => faults)).toEqual([]);
			const ran = new Set(told.map(([, , id]) => id));
			expect(ids.filter((id) => !ran.has(id))).toEqual([]);
			const left = await effectsOf(url);
			expect(left.length).toBe(new Set(left).size);
			expect(left.length).toBe(ids.length / 2);
			expect(overlaps(told)).toEqual([]);
		} finally {
			await close();
		}
	}, 60_000);

	test.each(driverNames)("%s: goes on after its process has stood still for two leases", async (driver) => {
		const { url, add, ids, clients, adder, close } = await prepare(driver, 3);
		try {
			await add(60);
			await until(() => clients.every(({ told }) => told.length > 0), "both work", { errors: clients[0]!.faults });
			for (let round = 0; round < (isLong && driver === "pg" ? 2 : 1); round++) {
				await clients[0]!.freeze(2 * lease);
				await add(20);
			}
			await untilDone(adder.store, clients, ids.length);
			expect(clients.flatMap(({ faults }) => faults)).toEqual([]);
			const left = await effectsOf(url);
			expect(left.length).toBe(new Set(left).size);
			expect(left.length).toBe(ids.length / 2);
		} finally {
			await close();
		}
	}, 60_000);

	test("pg: leases are extended while tasks hold all connections of the pool but the one that listens", async () => {
		const url = await createDatabase(machine.url);
		const { store, transaction, close } = connectPostgres("pg", url, { max: 3, store: { timeout: lease / 3 } });
		await store.open();
		const stop = store.watch!("default", () => {}, () => {});
		try {
			const task = { kind: "work", payload: "", delay: 0, priority: 0 };
			await store.add("default", [task, task]);
			await until(
				async () => (await query(url, "SELECT FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'")).length > 0,
				"it listens",
			);
			const asked = { settle: [], claim: [{ kinds: ["work"], limit: 2 }], lease };
			const { claims } = await store.turn("default", asked);
			await transaction(() =>
				transaction(async () => {
					for (let round = 0; round < 3; round++) {
						await sleep(100);
						expect(await store.extend("default", claims, lease)).toEqual(["ok", "ok"]);
					}
				})
			);
		} finally {
			stop();
			await close();
		}
	});

	/** A store whose pool keeps no idle connection but the one that listens, through a proxy. */
	async function listening(url: string, proxy: Proxy, timeout = 500) {
		const pool = new pg.Pool({ connectionString: through(url, proxy), max: 3, idleTimeoutMillis: 50 });
		const store = postgresStore(pool, { timeout });
		await store.open();
		const errors: unknown[] = [];
		const stop = store.watch!("default", () => {}, (error) => errors.push(error));
		const backends = () =>
			query(
				url,
				"SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
			);
		const isAlone = async () => {
			const all = await backends();
			return all.length === 1 && /^LISTEN/i.test(String(all[0]!["query"]));
		};
		await until(isAlone, "only the connection that listens is left");
		const close = async () => {
			stop();
			await proxy.close(); // pg would wait for the answer of a silent server
			await pool.end();
		};
		return { store, errors, backends, stop, close };
	}
	const asked = { settle: [], claim: [{ kinds: ["work"], limit: 1 }], lease };
	const work = { kind: "work", payload: "", delay: 0, priority: 0 };

	test("pg: turns run on the connection that listens, and need no new one when the pool has closed its idle ones", async () => {
		const proxy = await Proxy.open(machine.port);
		const { store, errors, backends, close } = await listening(await createDatabase(machine.url), proxy);
		try {
			const [listener] = await backends();
			for (let round = 0; round < 3; round++) await store.turn("default", asked);
			const turning = (await backends()).filter(({ query }) => String(query).includes("turn_"));
			expect(turning.map(({ pid }) => pid)).toEqual([listener!["pid"]]);
			// An addition takes one of its own, and the next turn has its task.
			await store.add("default", [work]);
			expect((await store.turn("default", asked)).claims).toHaveLength(1);
			expect(errors).toEqual([]);
		} finally {
			await close();
		}
	});

	test("pg: a watch that ends leaves the connection that listens to a turn that takes long", async () => {
		const url = await createDatabase(machine.url);
		const { store, errors, stop, close } = await listening(url, await Proxy.open(machine.port), 5_000);
		const other = connectPostgres("pg", url);
		try {
			await store.add("default", [work]);
			const { turn } = await other.transaction(async (tx) => {
				await other.ask(tx, "LOCK TABLE upkeep.tasks IN ACCESS EXCLUSIVE MODE");
				const turn = store.turn("default", asked);
				turn.catch(() => {});
				await sleep(50);
				stop();
				await sleep(1_500);
				return { turn };
			});
			expect((await turn).claims).toHaveLength(1);
			expect(errors).toEqual([]);
		} finally {
			await close();
			await other.close();
		}
	});

	test("pg: if the connection that listens is silent, one turn waits for it, no other one and no addition", async () => {
		const proxy = await Proxy.open(machine.port);
		const { store, errors, close } = await listening(await createDatabase(machine.url), proxy);
		try {
			expect(proxy.freeze(({ said }) => said.includes("LISTEN"))).toBe(1);
			const lost = store.turn("default", asked).then(() => "answered", ({ code }) => code);
			await store.add("default", [work]);
			expect((await store.turn("default", asked)).claims).toHaveLength(1);
			expect(await lost).toBe("unavailable");
			expect(errors).toHaveLength(1);
			expect((await store.turn("default", asked)).claims).toHaveLength(0);
		} finally {
			await close();
		}
	});
});
