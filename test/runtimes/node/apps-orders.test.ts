// The orders of examples/apps in real processes of Bun, which are killed and ended while they work.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { root } from "../../../scripts/test/engines.ts";
import { install } from "../../apps/install.ts";
import { Program } from "../../apps/process.ts";

interface Effects {
	readonly effects: readonly {
		readonly path: string;
		readonly body: Readonly<Record<string, string>>;
		readonly requests: number;
	}[];
	readonly atOnce: Readonly<Record<string, { most: number }>>;
}

interface Span {
	readonly name: string;
	readonly traceId: string;
	readonly spanId: string;
	readonly parent: string | undefined;
	readonly attributes: Readonly<Record<string, unknown>>;
}

const patience = { timeout: 30_000, interval: 50 };
const customers = ["ada", "bob"];
const orders = Array.from({ length: 30 }, (_, index) => ({
	id: `order-${index}`,
	customer: customers[index % 2]!,
	article: index % 10 === 8 ? "piano" : index % 10 === 9 ? "unicorn" : "tea",
}));
const idsOf = (isOf: (article: string) => boolean) => orders.filter(({ article }) => isOf(article)).map(({ id }) => id);
const sent = idsOf((article) => article === "tea");
const refunded = idsOf((article) => article === "piano");

let folder: string;
let partners: Program;
let partnersUrl: string;
let app: Program | undefined;
let appUrl: string;

describe("examples/apps/orders", { timeout: 60_000 }, () => {
	beforeAll(async () => {
		folder = await install("orders");
		partners = run("partners.ts", { PORT: "0", FLAKY: "4", DELAY: "30" });
		partnersUrl = await urlOf(partners);
	});
	afterAll(async () => {
		await Promise.all([app?.end("SIGKILL"), partners?.end("SIGKILL")]);
		await rm(folder, { recursive: true, force: true });
	});

	test("orders survive a kill and a SIGTERM, and each ends once, sent or undone", async () => {
		await start();
		await Promise.all(orders.map((order) => post(appUrl, order)));
		expect(await post(appUrl, orders[0]!)).toEqual({ id: "order-0" }); // a repeated request changes nothing
		await vi.waitFor(async () => expect((await effects("/parcels")).length).toBeGreaterThan(2), patience);
		await app!.end("SIGKILL");
		const before = (await effects("/parcels")).length;
		expect(before).toBeLessThan(sent.length);

		await start();
		await vi.waitFor(async () => expect((await effects("/parcels")).length).toBeGreaterThan(before), patience);
		expect(await app!.end("SIGTERM")).toBe(0);
		expect(app!.text).toMatch(/^Ended$/m);
		expect((await effects("/parcels")).length).toBeLessThan(sent.length);

		await start();
		await vi.waitFor(async () => {
			const { orders, messages } = await get(appUrl, "/health");
			expect([orders.waiting, orders.running, messages.running]).toEqual([0, 0, 0]);
			expect(messages.waiting).toBe(1); // the next report
		}, patience);
		await vi.waitFor(async () => expect((await effects("/hooks/")).length).toBe(orders.length), patience);

		for (const { id, article, customer } of orders) {
			const status = article === "tea" ? "sent" : "cancelled";
			const { error, ...order } = await get(appUrl, `/orders/${id}`);
			expect(order).toEqual({ id, article, customer, status });
			expect(error).toEqual(
				{
					tea: undefined,
					piano: "/parcels answers 422",
					unicorn: "unicorn is sold out",
				}[article],
			);
		}
		// Each effect happened once, although requests were repeated.
		expect(await effects("/charges")).toEqual([...sent, ...refunded].toSorted());
		expect(await effects("/refunds")).toEqual(refunded.toSorted());
		expect(await effects("/parcels")).toEqual(sent.toSorted());
		expect(await effects("/hooks/")).toEqual(orders.map(({ id }) => id).toSorted());
		const done = await partnersState();
		expect(Math.max(...done.effects.map(({ requests }) => requests))).toBeGreaterThan(1);
		expect(await stock()).toEqual({ tea: 1000 - sent.length, piano: 1000, unicorn: 0 });

		// No customer got more than two messages at once, over all processes.
		expect(Object.keys(done.atOnce).toSorted()).toEqual(customers);
		for (const { most } of Object.values(done.atOnce)) expect(most).toBeLessThanOrEqual(2);
	});

	test("a report is made at its time", async () => {
		await vi.waitFor(async () => {
			const report = await query("SELECT * FROM reports ORDER BY at DESC LIMIT 1");
			expect(report).toEqual([{ at: expect.any(Number), sent: sent.length, cancelled: orders.length - sent.length }]);
		}, patience);
	});

	test("one trace leads from the request over the steps to the message", async () => {
		await post(appUrl, { id: "traced", customer: "ada", article: "tea" });
		await vi.waitFor(async () => expect(await effects("/hooks/")).toContain("traced"), patience);
		expect(await app!.end("SIGTERM")).toBe(0);
		const lines = (await readFile(join(folder, "spans.ndjson"), "utf8")).trim().split("\n");
		const spans: Span[] = lines.map((line) => JSON.parse(line));
		const request = spans.findLast(({ name }) => name === "POST /orders")!;
		const trace = new Map(
			spans.filter(({ traceId }) => traceId === request.traceId).map((span) => [span.spanId, span]),
		);
		const pathOf = ({ name, parent }: Span): string =>
			parent === undefined ? name : `${pathOf(trace.get(parent)!)} > ${name}`;
		const steps = "POST /orders > send orders:fulfil > process orders:fulfil";
		expect(new Set([...trace.values()].map(pathOf))).toEqual(
			new Set([
				"POST /orders",
				"POST /orders > send orders:fulfil",
				steps,
				`${steps} > send outbox:notify`,
				`${steps} > send outbox:notify > process outbox:notify`,
			]),
		);
		const attempted = [...trace.values()].flatMap(({ attributes }) => attributes["messaging.upkeep.step"] ?? []);
		expect(attempted).toEqual(["order", "stock", "payment", "courier", "end"]);
		expect(new Set(spans.map(({ name }) => name))).toContain("process outbox:report");
	});
});

function run(file: string, env: Record<string, string>): Program {
	return new Program(join(root, "node_modules/.bin/bun"), [file], { cwd: folder, env });
}

async function urlOf(program: Program): Promise<string> {
	return (await program.printed(/^Listening on (\S+)\/$/m))[1]!;
}

async function start(): Promise<void> {
	app = run("main.ts", { PORT: "0", PARTNERS: partnersUrl, NIGHTLY: "* * * * * *", SPANS: "spans.ndjson" });
	appUrl = await urlOf(app);
}

async function post(url: string, order: object): Promise<unknown> {
	const response = await fetch(`${url}/orders`, { method: "POST", body: JSON.stringify(order) });
	expect(response.status).toBe(202);
	return await response.json();
}

// deno-lint-ignore no-explicit-any -- what is in it, the test checks
async function get(url: string, path: string): Promise<any> {
	const response = await fetch(url + path);
	expect(response.status).toBe(200);
	return await response.json();
}

async function partnersState(): Promise<Effects> {
	return await get(partnersUrl, "/effects");
}

/** The orders for which this has been done, sorted. */
async function effects(path: string): Promise<string[]> {
	const { effects } = await partnersState();
	return effects.filter((effect) => effect.path.startsWith(path)).map(({ body }) => body["order"]!).toSorted();
}

async function stock(): Promise<Record<string, number>> {
	const rows = await query<{ article: string; count: number }>("SELECT article, count FROM stock");
	return Object.fromEntries(rows.map(({ article, count }) => [article, count]));
}

async function query<T>(sql: string): Promise<T[]> {
	const { DatabaseSync } = await import("node:sqlite");
	const db = new DatabaseSync(join(folder, "orders.db"), { readOnly: true });
	try {
		return db.prepare(sql).all().map((row) => ({ ...row })) as T[];
	} finally {
		db.close();
	}
}
