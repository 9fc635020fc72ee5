// `upkeep serve` with a Postgres server and a driver that it finds by itself.
import { afterAll, beforeAll, expect, test } from "vitest";
import postgres from "postgres";
import { Basket } from "upkeep";
import { postgresStore } from "upkeep/stores/postgres";
import { CliProcess } from "../../cli/cli-process.ts";
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

test("upkeep serve shows and changes a Postgres database, and notices what others do", async () => {
	const outbox = new Basket({ store: postgresStore(sql), tasks: { mail: (_: unknown) => {} } });
	await outbox.add("mail", { to: "ada" }, { id: "a", delay: 60_000 });
	const cli = new CliProcess(["serve", "--db", server.url, "--json", "--write"]);
	try {
		await cli.printed(/\n/);
		const { address } = JSON.parse(cli.text);
		const { items } = await (await fetch(new URL("upkeep/tasks", address))).json();
		expect(items).toMatchObject([{ id: "a", kind: "mail", preview: '{"to":"ada"}' }]);
		const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
		const held = await fetch(new URL("upkeep/actions/hold?id=a", address), init);
		expect([await held.json(), (await outbox.get("a"))!.state]).toEqual([{ changed: 1 }, "held"]);
		const { body } = await fetch(new URL("upkeep/changes", address));
		const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
		let text = "";
		while (!text.includes('"held":1')) text += (await reader.read()).value;
		await outbox.delete("a");
		while (!text.includes('"held":0')) text += (await reader.read()).value;
		await reader.cancel();
		cli.interrupt();
		expect([await cli.ended, cli.errors]).toEqual([0, ""]);
	} finally {
		cli.kill();
	}
}, timeout);
