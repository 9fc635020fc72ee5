// The time of a claim of 100 tasks while many others wait in Postgres. The planner has no statistics of the table.
import process from "node:process";
import pg from "pg";
import { postgresStore } from "upkeep/stores/postgres";
import { expect, parameters, report } from "../measure.ts";
import { withDatabase } from "./postgres-queues.ts";

const name = "backlog";
const claimed = 100;
const lease = 30_000;
const total = Number(parameters().get("case")!.split(" ")[0]!.replaceAll(",", ""));
const claims = parameters().get("plan") === "quick" ? 100 : 400;

await withDatabase(async (url) => {
	const store = postgresStore(new pg.Pool({ connectionString: url }));
	await store.open();
	const task = { kind: "task", payload: JSON.stringify({ to: "somebody@example.com" }), delay: 0, priority: 0 };
	const size = Math.min(total, 10_000);
	for (let added = 0; added < total; added += size) await store.add(name, Array.from({ length: size }, () => task));
	const times: number[] = [];
	for (let i = 0; i < claims; i++) {
		const start = performance.now();
		const { claims } = await store.turn(name, { settle: [], claim: [{ kinds: ["task"], limit: claimed }], lease });
		times.push(performance.now() - start);
		expect(claims.length, claimed);
		// A release moves the tasks behind all others.
		const settle = claims.map((ref) => ({ ref, outcome: { type: "release" } as const }));
		expect((await store.turn(name, { settle, claim: [], lease })).settled.every(Boolean), true);
	}
	times.sort((a, b) => a - b);
	await report(times[Math.floor(claims * 0.95)]!, times[Math.floor(claims / 2)]!);
});
process.exit();
