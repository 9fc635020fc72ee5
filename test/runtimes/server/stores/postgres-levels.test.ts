// A claim of postgresStore() does not scan rows of completed tasks, and still misses no task. The tests set the time
// of the server.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Claim, NewTask, Store } from "../../../../src/basket/store.ts";
import { postgresStore } from "../../../../src/stores/postgres/postgres.ts";
import { nameIn } from "../../../../src/stores/postgres/sql.ts";
import { pool } from "../../../stores/postgres/drivers.ts";
import { type Connections, stoppedClock } from "../../../stores/postgres/suite.ts";
import { type PostgresServer, startPostgres } from "../../../servers/postgres.ts";

let server: PostgresServer;
let connections: Connections;
let store: Store;

beforeAll(async () => {
	server = await startPostgres({ settings: { autovacuum: "off" } });
	connections = await pool.open(server.url);
	store = postgresStore(connections.client);
	await store.open();
	await connections.run(stoppedClock("upkeep"));
});
afterAll(async () => {
	await connections?.close();
	await server?.stop();
});

const lease = 30_000;
const advance = (duration: number) => connections.run(`UPDATE upkeep.test_clock SET at = at + ${duration}`);
const add = (name: string, fields: Partial<NewTask>[], tx?: never) =>
	store.add(name, fields.map((each) => ({ kind: "work", payload: "", delay: 0, priority: 0, ...each })), tx);

async function turn(name: string, settle: readonly Claim[] = [], limit = 100, own = lease): Promise<readonly Claim[]> {
	const done = settle.map((ref) => ({ ref, outcome: { type: "done" as const } }));
	const { claims } = await store.turn(name, { settle: done, claim: [{ kinds: ["work"], limit }], lease: own });
	return claims;
}

/** Completes some tasks, so that the levels rise to the current time. */
async function raise(name: string): Promise<void> {
	for (let round = 0; round < 4; round++) {
		await advance(200);
		await add(name, [{}]);
		const claims = await turn(name);
		await turn(name, claims.filter(({ lane }) => lane === undefined));
	}
	const rows = await rowsOf(
		`SELECT (SELECT at FROM upkeep.test_clock) - max(low) AS age FROM upkeep.levels WHERE basket = '${name}'`,
	);
	expect(Number(rows[0]!["age"])).toBeLessThan(1_000);
}

async function rowsOf(text: string): Promise<Record<string, unknown>[]> {
	return (await connections.run(text) as { rows: Record<string, unknown>[] }).rows;
}

/** Returns the number of index blocks that a turn reads if it finds one task, and if it finds none. */
async function blocks(name: string): Promise<[one: number, none: number]> {
	const counted = async () => {
		let count = 0;
		await connections.transaction(async (tx) => {
			const ask = async (text: string) =>
				(await (tx as { query(text: string): Promise<{ rows: unknown[] }> }).query(text)).rows;
			const fetched = async () => {
				const [row] = await ask(`SELECT sum(pg_stat_get_xact_blocks_fetched(indexrelid))::int AS count FROM pg_index
					WHERE indrelid = 'upkeep.tasks'::regclass`);
				return (row as { count: number }).count;
			};
			const before = await fetched(); // the counter belongs to the connection and is not reset at once
			await ask(`SELECT upkeep.${nameIn("turn")}('${name}', '{}', '[]', '[[10, ["work"]]]', '30000', '', '[]')`);
			count = await fetched() - before;
			throw new Error("roll back");
		}).catch(() => {});
		return count;
	};
	const none = await counted();
	await add(name, [{}]);
	const one = await counted();
	await turn(name, await turn(name));
	return [one, none];
}

test("turn() looks at no more after thousands of tasks that nobody has vacuumed away than before", async () => {
	await raise("many");
	const before = await blocks("many");
	for (let count = 0; count < 20_000; count += 1_000) {
		await advance(50);
		await add("many", Array.from({ length: 1_000 }, () => ({})));
		await turn("many", await turn("many", [], 1_000), 1);
	}
	await raise("many");
	const after = await blocks("many");
	expect(before.every((count) => count > 0)).toBe(true);
	expect(after[0]).toBeLessThan(before[0] * 3);
	expect(after[1]).toBeLessThan(before[1] * 3);
}, 60_000);

test("turn() claims what was added in a transaction that has taken long", async () => {
	await connections.transaction(async (tx) => {
		await add("slow", [{ id: "slow" }], tx as never);
		await raise("slow").catch(() => {}); // an open transaction keeps the levels
	});
	expect((await turn("slow")).map(({ id }) => id)).toEqual(["slow"]);
});

test("turn() claims the next one of a lane, and what was released, though they are due for long", async () => {
	await add("old", [{ id: "head", lane: "l" }, { id: "next", lane: "l" }, { id: "held" }]);
	await store.change("old", ["held"], "hold");
	const [head] = await turn("old");
	await raise("old");
	expect((await turn("old", [head!])).map(({ id }) => id)).toEqual(["next"]);
	await raise("old");
	await store.change("old", ["held"], "release");
	expect((await turn("old")).map(({ id }) => id)).toEqual(["held"]);
});

test("turn() claims again when a lease ends that was shorter than the others, or was made shorter", async () => {
	await add("short", [{ id: "made short" }]);
	const [long] = await turn("short");
	await raise("short");
	await add("short", [{ id: "short" }]);
	expect(await turn("short", [], 1, 10)).toHaveLength(1);
	await store.extend("short", [long!], 10);
	await advance(10);
	expect((await turn("short")).map(({ id }) => id).sort()).toEqual(["made short", "short"]);
});

test("turn() claims a running task whose worker is gone, held and released or not", async () => {
	await add("gone", [{ id: "a" }, { id: "b" }]);
	await turn("gone");
	await store.change("gone", ["b"], "hold");
	await raise("gone");
	await advance(lease);
	expect((await turn("gone")).map(({ id }) => id)).toEqual(["a"]);
	await raise("gone");
	await store.change("gone", ["b"], "release");
	expect((await turn("gone")).map(({ id }) => id)).toEqual(["b"]);
});

test("turn() claims what was added or failed after the server's clock was set back", async () => {
	await raise("back");
	await add("back", [{ id: "failed" }]);
	const [claim] = await turn("back");
	await advance(-3_600_000);
	const outcome = { type: "retry" as const, delay: 0, attempts: 1, error: "no" };
	await store.turn("back", { settle: [{ ref: claim!, outcome }], claim: [], lease });
	await add("back", [{ id: "added" }]);
	expect((await turn("back")).map(({ id }) => id)).toEqual(["failed", "added"]);
	await advance(3_600_000);
});

test("turn() sees what was changed by hand within half a minute", async () => {
	await raise("hand");
	await add("hand", [{ id: "hand", delay: 3_600_000 }]);
	await connections.run("UPDATE upkeep.tasks SET due = 1, priority = 77 WHERE id = 'hand'");
	await turn("hand");
	await advance(30_001);
	expect((await turn("hand")).map(({ id }) => id)).toEqual(["hand"]);
});
