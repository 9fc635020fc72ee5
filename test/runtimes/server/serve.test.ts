// `upkeep serve` over real HTTP, on a real SQLite database.
import { afterEach, describe, expect, test } from "vitest";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request as ask } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Basket, job, Processor } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { createHandler } from "../../../src/cli/serve.ts";
import { isLocal, openWebServer } from "../../../src/cli/web-server.ts";
import { CliProcess } from "../../cli/cli-process.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A database with two tasks, one of them of bytes, and a job that waits for a signal. */
async function createDatabase() {
	const folder = await mkdtemp(join(tmpdir(), "serve-test-"));
	cleanups.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
	const path = join(folder, "tasks.db");
	const db = new DatabaseSync(path);
	cleanups.push(() => db.close());
	db.exec("PRAGMA journal_mode = WAL");
	const store = sqliteStore(db);
	const bytes = { encode: () => new Uint8Array(5), decode: () => ({}) };
	const outbox = new Basket({
		store,
		tasks: { mail: (_: unknown) => {}, photo: { run: (_: unknown) => {}, codec: bytes } },
	});
	await outbox.add("mail", { to: "ada" }, { id: "a", delay: 60_000 });
	await outbox.add("photo", {}, { id: "p", delay: 60_000 });
	const trip = job<string>("trip").step("flight", { run: () => ({ seat: 4 }), revert: () => {} }).waitFor("approval");
	const processor = new Processor({ store, jobs: [trip] });
	await processor.add(trip, "ada", { id: "t" });
	await processor.drain();
	return { path, store, outbox };
}

async function serveStore(mayWrite: boolean) {
	const { store, outbox } = await createDatabase();
	const page = new Map([["", { text: "<!doctype html>", type: "text/html" }], ["modules/a.js", {
		text: "1",
		type: "text/javascript",
	}]]);
	const notes: string[] = [];
	const handler = createHandler(
		store,
		page,
		"/key",
		{ basket: "default", jobs: "jobs", mayWrite },
		(text) => notes.push(text),
	);
	const server = await openWebServer(handler, 0);
	cleanups.push(() => server.close());
	return { port: server.port, base: `http://127.0.0.1:${server.port}`, outbox, notes };
}

/** A request with a header that `fetch` does not send. */
async function statusWith(port: number, headers: Record<string, string>): Promise<number | undefined> {
	const request = ask({ port, host: "127.0.0.1", path: "/key/upkeep", headers });
	request.end();
	const [response] = await once(request, "response");
	response.resume();
	return response.statusCode;
}

const json = { "content-type": "application/json" };

describe("upkeep serve", () => {
	test("shows what is stored, without its definitions, and changes nothing", async () => {
		const { base, outbox, notes } = await serveStore(false);
		const overview = await (await fetch(`${base}/key/upkeep`)).json();
		expect(overview).toMatchObject({
			sources: [{ source: "outbox", counts: { waiting: 2 }, kinds: ["mail", "photo"] }, {
				source: "processor",
				kinds: ["trip"],
			}],
			actions: [],
		});
		const { items } = await (await fetch(`${base}/key/upkeep/tasks?order=oldest`)).json();
		expect(items.map(({ preview }: { preview: string }) => preview)).toEqual([
			'{"to":"ada"}',
			'"(Uint8Array of 5 bytes)"',
		]);
		const detail = await (await fetch(`${base}/key/upkeep/task?source=processor&id=t`)).json();
		expect(detail).toMatchObject({
			payload: { value: "ada" },
			steps: [{ name: "flight", state: "done", result: { value: { seat: 4 } } }, {
				name: "approval",
				state: "current",
			}],
		});
		const hold = await fetch(`${base}/key/upkeep/actions/hold?id=a`, { method: "POST", headers: json, body: "{}" });
		expect([hold.status, (await hold.json()).status, (await outbox.get("a"))!.state]).toEqual([403, 403, "waiting"]);
		expect(notes).toEqual([]);
	});

	test("with --write, it changes", async () => {
		const { base, outbox } = await serveStore(true);
		const hold = await fetch(`${base}/key/upkeep/actions/hold?id=a`, { method: "POST", headers: json, body: "{}" });
		expect([await hold.json(), (await outbox.get("a"))!.state]).toEqual([{ changed: 1 }, "held"]);
		const foreign = { ...json, origin: "https://evil.example.com" };
		const pause = await fetch(`${base}/key/upkeep/actions/pause`, { method: "POST", headers: foreign, body: "{}" });
		expect([pause.status, (await outbox.pauses()).all]).toEqual([403, false]);
	});

	test("the page has a strict policy, and nothing is at another path", async () => {
		const { base } = await serveStore(false);
		const page = await fetch(`${base}/key/`);
		expect(page.headers.get("content-security-policy")).toMatch(
			/^default-src 'self'; require-trusted-types-for 'script'/,
		);
		expect(page.headers.get("referrer-policy")).toBe("no-referrer");
		expect([page.status, await page.text()]).toEqual([200, "<!doctype html>"]);
		expect((await fetch(`${base}/key`)).url).toBe(`${base}/key/`);
		expect((await fetch(`${base}/key/`, { method: "HEAD" })).status).toBe(200);
		expect((await fetch(`${base}/key/`, { method: "POST" })).status).toBe(405);
		for (
			const path of [
				"/",
				"/upkeep",
				"/other/upkeep",
				"/modules/a.js",
				"/keys/",
				"/key/modules/b.js",
				"/key/modules/../../../package.json",
			]
		) {
			const response = await fetch(base + path);
			expect([path, response.status]).toEqual([path, 404]);
			await response.body?.cancel();
		}
	});

	test("requests for another host are refused: a name of another site may lead here", async () => {
		const { port } = await serveStore(false);
		for (
			const host of [
				"evil.example.com",
				`evil.example.com:${port}`,
				"127.0.0.1.evil.example.com",
				"localhost.evil.example.com",
			]
		) {
			expect([host, await statusWith(port, { host })]).toEqual([host, 421]);
		}
		expect(await statusWith(port, { host: `localhost:${port}` })).toBe(200);
		expect(["[::1]:80", "LOCALHOST", "127.0.0.1"].every(isLocal)).toBe(true);
		expect(["", undefined, "localhost@evil.example.com", "127.0.0.1 evil"].some(isLocal)).toBe(false);
	});

	test("a stream of changes ends with its client", async () => {
		const { base } = await serveStore(false);
		const controller = new AbortController();
		const { body } = await fetch(`${base}/key/upkeep/changes`, { signal: controller.signal });
		const reader = body!.getReader();
		const decoder = new TextDecoder();
		let text = "";
		while (!text.includes("event: reset")) text += decoder.decode((await reader.read()).value);
		controller.abort();
		await reader.closed.catch(() => {});
	});

	test("a port that is in use is told in one line", async () => {
		const { port } = await serveStore(false);
		const refused = openWebServer(() => Promise.resolve(new Response("")), port);
		await expect(refused).rejects.toMatchObject({ name: "Failure", message: expect.stringContaining(`${port}`) });
	});

	test("as a process: says which baskets there are if this one has no tasks", async () => {
		const { path } = await createDatabase();
		const cli = new CliProcess(["serve", "--db", path, "--basket", "defualt", "--jobs", "none"]);
		cleanups.push(() => cli.kill());
		await cli.noted(/"default"/);
		expect(cli.errors).toContain('"defualt"');
		cli.interrupt();
		expect(await cli.ended).toBe(0);
	}, 60_000);

	test(
		"as a process: prints the address, serves the inspector with all its modules, and ends with Ctrl-C",
		async () => {
			const { path } = await createDatabase();
			const cli = new CliProcess(["serve", "--db", path, "--json"]);
			cleanups.push(() => cli.kill());
			await cli.printed(/\n/);
			const { address, write } = JSON.parse(cli.text);
			expect([write, address]).toEqual([false, expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/$/)]);
			const page = await (await fetch(address)).text();
			const files = [...page.matchAll(/(?:src|href)="([\w.]+)"/g)].map(([, file]) => file!);
			expect(files).toContain("page.js");
			const seen = new Set<string>();
			const load = async (url: URL): Promise<void> => {
				if (seen.has(url.href)) return;
				seen.add(url.href);
				const response = await fetch(url);
				const code = await response.text();
				expect([url.href, response.status, response.headers.get("content-type")]).toEqual([
					url.href,
					200,
					expect.stringContaining("text/"),
				]);
				const imports = [...code.matchAll(/^(?:import|export)\b(?:[^;"]*\bfrom)?\s*"(\.[^"]+)"/gm)];
				await Promise.all(imports.map(([, specifier]) => load(new URL(specifier!, url))));
			};
			await load(new URL("page.js", address));
			expect(seen.size).toBeGreaterThan(2);
			const overview = await (await fetch(new URL("upkeep", address))).json();
			expect(overview.sources[0].counts.waiting).toBe(2);
			cli.interrupt();
			expect([await cli.ended, cli.errors]).toEqual([0, ""]);
		},
		60_000,
	);
});
