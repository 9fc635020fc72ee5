// The command line with a Postgres server and a driver that it finds by itself.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import postgres from "postgres";
import { postgresStore } from "upkeep/stores/postgres";
import type { Store } from "upkeep";
import { openStore } from "../../../src/cli/open.ts";
import { request } from "../../cli/support.ts";
import { compareSurvey } from "../../cli/survey.ts";
import { CliProcess, run } from "../../cli/cli-process.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";

const timeout = 60_000;
let server: PostgresServer;
let sql: postgres.Sql;

beforeAll(async () => {
	server = await startPostgres();
	sql = postgres(server.url, { onnotice: () => {} });
}, timeout);

afterAll(async () => {
	await sql?.end();
	await server?.stop();
}, timeout);

describe("upkeep with Postgres", () => {
	test("lists, shows, counts and changes tasks", async () => {
		const store = postgresStore(sql);
		await store.open();
		const task = { kind: "mail", payload: `{"to":"ada"}`, delay: 0, priority: 0 };
		await store.add("default", Array.from({ length: 300 }, (_, index) => ({ ...task, id: `t${index}` })));
		const { claims } = await store.turn("default", {
			settle: [],
			claim: [{ kinds: ["mail"], limit: 280 }],
			lease: 1_000,
		});
		const outcome = { type: "dead", attempts: 1, error: `{"name":"Error","message":"no such user"}` } as const;
		await store.turn("default", { settle: claims.map((ref) => ({ ref, outcome })), claim: [], lease: 1_000 });

		const read = async (...args: string[]) => {
			const [code, text, errors] = await run(args, { env: { UPKEEP_DB: server.url } });
			expect([code, errors]).toEqual([0, ""]);
			return text.trimEnd().split("\n").map((line) => JSON.parse(line));
		};
		await read("pause", "mail");
		const pauses = { all: false, kinds: ["mail"] };
		expect(await read("counts")).toEqual([{ waiting: 20, running: 0, held: 0, dead: 280, done: 0, pauses }]);
		expect(await read("resume", "mail")).toMatchObject([{ changed: true, pauses: { all: false, kinds: [] } }]);
		expect(await read("ls", "--newest", "--prefix", "t29", "--limit", "1")).toMatchObject([{ id: "t299" }]);
		expect(await read("ls", "--state", "dead", "--limit", "270")).toHaveLength(270);
		expect(await read("show", "t0")).toMatchObject([{
			state: "dead",
			payload: { to: "ada" },
			error: { message: "no such user" },
		}]);
		expect(await read("retry", "t0")).toEqual([{ id: "t0", retried: true }]);
		expect(await read("rm", "--all", "--state", "dead", "--kind", "mail", "--yes")).toEqual([{
			found: 279,
			removed: 279,
		}]);
		expect(await store.counts("default")).toMatchObject({ waiting: 21, dead: 0 });
		expect((await run(["show", "t1", "--db", server.url]))[0]).toBe(3);
	}, timeout);

	test("tells which session it waits for, and goes on when that is over", async () => {
		const store = postgresStore(sql);
		await store.open();
		await store.add("default", [{ kind: "mail", payload: "", delay: 0, priority: 0 }]);
		const cli = new CliProcess(["counts", "--db", server.url]);
		try {
			await sql.begin("read write", async (tx) => {
				await tx`SET LOCAL application_name = 'a migration'`;
				await tx`LOCK TABLE upkeep.tasks`;
				const [{ pid }] = await tx`SELECT pg_backend_pid() AS pid` as unknown as [{ pid: number }];
				await cli.noted(new RegExp(`process ${pid} \\(a migration, user `));
				expect(cli.text).toBe("");
			});
			expect(await cli.ended).toBe(0);
			const where = `"127.0.0.1:${new URL(server.url).port}/postgres"`;
			expect(cli.errors).toContain(` s for ${where} to answer (counts), which waits for a lock of another session: `);
			expect(cli.errors).toMatch(/^.+\n$/);
			expect(JSON.parse(cli.text)).toMatchObject({ held: 0 });
		} finally {
			cli.kill();
		}
	}, timeout);

	test("counts the tasks of all baskets as the store does, and knows gates", async () => {
		await postgresStore(sql, { schema: "survey" }).open();
		const opening = openStore(request("rm", { db: server.url, tables: "survey" }));
		const { store, catalog, close } = await opening;
		try {
			await compareSurvey(store as Store<never>, catalog);
		} finally {
			await close();
		}
	}, timeout);

	test("makes nothing in a database that has nothing of it", async () => {
		for (const command of [["ls"], ["retry", "a"]]) {
			const [code, text, errors] = await run([...command, "--db", server.url, "--tables", "none"]);
			expect([code, text, errors]).toEqual([
				1,
				"",
				`upkeep: The database has no tables of upkeep in a schema "none"\n`,
			]);
		}
		expect(await sql`SELECT 1 FROM pg_namespace WHERE nspname = 'none'`).toHaveLength(0);
		await sql`CREATE SCHEMA older`;
		await sql`CREATE TABLE older.version AS SELECT -1 AS version`;
		const [code, , errors] = await run(["ls", "--db", server.url, "--tables", "older"]);
		expect([code, errors]).toEqual([1, expect.stringContaining(`The schema "older" is of an older version of upkeep`)]);
		expect(await sql`SELECT 1 FROM pg_tables WHERE schemaname = 'older'`).toHaveLength(1);
	}, timeout);

	test("says in one line what cannot be reached, without the password", async () => {
		const cases = [
			[`postgres://me:secret@127.0.0.1:1/db`, 4],
			[`postgres://me:sec@ret:x/db`, 2],
			[server.urlOf("none"), 1],
		] as const;
		for (const [url, expected] of cases) {
			const [code, text, errors] = await run(["counts", "--db", url]);
			expect([url, code, text]).toEqual([url, expected, ""]);
			expect(errors).toMatch(/^upkeep: .+\n$/);
			expect(errors).not.toMatch(/sec/);
		}
	}, timeout);
});
