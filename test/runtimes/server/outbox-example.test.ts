// The main example as a separate process. test/runtimes/node/outbox-page.test.ts tests its page.
import { afterEach, describe, expect, test } from "vitest";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { sleep } from "upkeep";
import { OutboxProcess } from "../../outbox-process.ts";

/** The tests only wait for the lease of a killed process, but a busy machine is slow. */
const timeout = 60_000;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function start(...args: string[]): OutboxProcess {
	const outbox = new OutboxProcess(args);
	cleanups.push(() => outbox.kill());
	return outbox;
}

async function createFile(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "outbox-test-"));
	cleanups.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
	return join(folder, "outbox.db");
}

/** The receiver of the messages. */
class Webhook {
	/** The number of deliveries of each id. */
	readonly received = new Map<string, number>();
	/** Returns the status of the answer, or `undefined` to send no answer. */
	answer: (id: string) => number | undefined = () => 204;
	/** Called after each request. */
	onRequest: () => void = () => {};
	readonly #server = createServer((request, response) => {
		request.resume().on("end", () => {
			const id = String(request.headers["idempotency-key"]);
			this.received.set(id, (this.received.get(id) ?? 0) + 1);
			const status = this.answer(id);
			if (status !== undefined) response.writeHead(status).end();
			this.onRequest();
		});
	});

	async start(): Promise<string> {
		this.#server.listen(0, "127.0.0.1");
		await once(this.#server, "listening");
		cleanups.push(() => {
			this.#server.close();
			this.#server.closeAllConnections();
		});
		return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
	}
}

/** Posts a message. Resolves with whether the server accepted it. */
async function post(url: string, id: string): Promise<boolean> {
	const headers = { "idempotency-key": id };
	const body = JSON.stringify({ text: `message ${id}` });
	return await fetch(`${url}messages`, { method: "POST", headers, body }).then(({ ok }) => ok, () => false);
}

async function until<T>(read: () => Promise<T>, isReached: (value: T) => boolean): Promise<T> {
	for (;; await sleep(50)) {
		const value = await read();
		if (isReached(value)) return value;
	}
}

// A process on Windows cannot send a signal that another process can handle.
describe.skipIf(process.platform === "win32")("examples/outbox.ts", () => {
	test("delivers each message that it has accepted, though it is killed twice", async () => {
		const webhook = new Webhook();
		const args = ["--plain", "--db", await createFile(), "--webhook", await webhook.start()];
		const unaccepted = { posts: idsOf("post"), lines: idsOf("line") };
		const urls = new Set<string>();
		/** Sends the messages that are not accepted yet, until all are accepted or the process has ended. */
		const send = async (outbox: OutboxProcess) => {
			const url = await outbox.url();
			urls.add(url);
			outbox.write(unaccepted.lines.map((id) => `{ "id": "${id}" }\n`).join(""));
			const accepted = await Promise.all(unaccepted.posts.map((id) => post(url, id)));
			unaccepted.posts = unaccepted.posts.filter((_, index) => !accepted[index]);
		};
		for (const mark of [40, 120]) {
			const outbox = start(...args);
			// From the mark on, the webhook does not answer, so that the process is killed during deliveries.
			webhook.answer = (id) => webhook.received.size > mark ? undefined : id.endsWith("3") ? flaky(id, webhook) : 204;
			const isReached = new Promise<void>((resolve) => {
				webhook.onRequest = () => webhook.received.size > mark && resolve();
			});
			const sent = send(outbox);
			await isReached;
			await outbox.kill();
			await sent;
			unaccepted.lines = unaccepted.lines.filter((id) => !outbox.text.includes(` accepted ${id}\n`));
			expect(outbox.errors).toBe("");
		}
		expect(webhook.received.size).toBeLessThan(200);
		webhook.answer = () => 204;
		const outbox = start(...args);
		await send(outbox);
		expect(unaccepted.posts).toEqual([]);
		await until(async () => webhook.received.size, (size) => size === 200);
		const { counts } = await until(() => outbox.status(), ({ counts }) => counts.waiting + counts.running === 0);
		expect(counts.dead).toBe(0);
		expect([...webhook.received.keys()].sort()).toEqual([...idsOf("post"), ...idsOf("line")].sort());
		// The deliveries that were active at the kill.
		expect([...webhook.received].filter(([id, count]) => !id.endsWith("3") && count > 1).length).toBeGreaterThan(0);
		expect(urls.size).toBe(1); // the address is the same, so that the page finds the server again
		outbox.interrupt();
		expect(await outbox.ended).toBe(0);
	}, timeout);

	test("says over HTTP and on standard input what it does not accept", async () => {
		const webhook = new Webhook();
		webhook.answer = (id) => id === "bad" ? 422 : 204;
		const outbox = start("--plain", "--db", await createFile(), "--webhook", await webhook.start());
		const url = `${await outbox.url()}messages`;
		const send = async (init: RequestInit, path = "") => {
			const response = await fetch(url + path, { method: "POST", ...init });
			return [response.status, response.status === 204 ? undefined : await response.json()];
		};
		const id = (id: string) => ({ "idempotency-key": id });
		expect(await send({ body: "{ no JSON" })).toMatchObject([400, {
			error: expect.stringMatching(/^This is not JSON/),
		}]);
		expect(await send({ body: `"${"x".repeat(65_536)}"` })).toMatchObject([413, {
			error: expect.stringMatching(/65536/),
		}]);
		// A request without a length and without an end. The server reads only up to its limit.
		let pieces = 0;
		const endless = new ReadableStream<Uint8Array>({
			pull: (controller) => void (++pieces < 100_000 ? controller.enqueue(new Uint8Array(16_384)) : controller.close()),
		});
		const refused = await send({ body: endless, duplex: "half" } as RequestInit).catch((error) => [error.name]);
		expect([413, "TypeError"]).toContain(refused[0]); // or the connection ends while the client is still sending
		expect(pieces).toBeLessThan(100_000);
		expect(await send({ body: "1", headers: id("_") })).toMatchObject([400, { error: expect.stringMatching(/"id"/) }]);
		expect(await send({ body: "1", headers: { origin: "http://example.com" } })).toMatchObject([403, {}]);
		expect(await statusFor(url, { host: "example.com" })).toBe(403);
		for (const site of ["cross-site", "same-site"]) {
			expect(await statusFor(url, { "sec-fetch-site": site })).toBe(403);
		}
		for (const site of ["same-origin", "none"]) expect(await statusFor(url, { "sec-fetch-site": site })).toBe(200);
		expect(await statusFor(url, {}, "HEAD")).toBe(200);
		expect(await send({ method: "PUT", body: "1" })).toMatchObject([405, {}]);
		const allowed = async (path: string) =>
			(await fetch(url + path, { method: "PUT", body: "1" })).headers.get("allow");
		expect([await allowed(""), await allowed("/a"), await allowed("/a/retry")]).toEqual([
			"GET, HEAD, POST",
			"GET, HEAD, DELETE",
			"POST",
		]);
		expect(await send({ body: "1" }, "/nobody/retry")).toMatchObject([404, {}]);

		expect(await send({ body: "1", headers: id("good") })).toEqual([202, { id: "good", added: true }]);
		await outbox.printed(/ done good \(attempt 1\)\n/);
		const again = await send({ body: "1", headers: id("good") });
		expect(again).toMatchObject([202, { id: "good", added: false }]);
		expect(await send({ body: `{ "id": "bad" }` })).toEqual([202, { id: "bad", added: true }]);
		await outbox.printed(/ dead bad 422 .*\(attempt 1\)\n/);
		expect((await outbox.status()).dead).toMatchObject([{ id: "bad", text: `{"id":"bad"}`, attempts: 1 }]);
		expect(await send({}, "/bad/retry")).toEqual([204, undefined]);
		await outbox.printed(/ dead bad [^]* dead bad 422 .*\(attempt 1\)\n/);
		expect(await send({ method: "DELETE" }, "/bad")).toEqual([204, undefined]);
		expect(await send({ method: "DELETE" }, "/bad")).toMatchObject([404, {}]);

		outbox.write(`{ no JSON\n\n"${"x".repeat(70_000)}"\n{ "id": "line" }\n`);
		await outbox.printed(/ refused line 1: This is not JSON: .*\n/);
		await outbox.printed(/ refused line 3: a message has at most 65536 bytes\n/);
		await outbox.printed(/ done line \(attempt 1\)\n/);
		expect([...webhook.received]).toEqual([["good", 1], ["bad", 2], ["line", 1]]);
		outbox.interrupt();
		expect(await outbox.ended).toBe(0);
		expect(outbox.text).toMatch(/\nStopped after .+: 2 messages delivered, 2 attempts failed\.\n$/);
		expect(outbox.errors).toBe("");
	}, timeout);

	test("without a webhook shows itself on demo messages", async () => {
		const outbox = start("--db", await createFile());
		await outbox.printed(/^Sending demo messages/m);
		await outbox.printed(/ dead demo-dead 404 Not Found \(attempt 1\)\n/);
		await outbox.printed(/ retry demo-\S+ \d+ .+ \(attempt 1\), again in .+\n/);
		await outbox.printed(/ done demo-\S+ \(attempt 2\)\n/);
		expect((await outbox.status()).received!.messages).toBeGreaterThan(0);
		const url = await outbox.url();
		const files = { "": "html", "main.js": "javascript", "service-worker.js": "javascript", "icon.svg": "svg" };
		for (const [name, type] of Object.entries(files)) {
			for (const method of ["GET", "HEAD"]) {
				const { status, headers } = await fetch(url + name, { method });
				expect([status, headers.get("content-type")]).toEqual([200, expect.stringContaining(type)]);
			}
			const { status, headers } = await fetch(url + name, { method: "DELETE" });
			expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD"]);
		}
		const names: string[] = await (await fetch(`${url}files.json`)).json();
		expect(names).toEqual(expect.arrayContaining(["/", "/mod.ts", "/examples/outbox/page/main.ts"]));
		for (const name of names.filter((name) => name.endsWith(".ts"))) {
			const response = await fetch(new URL(name, url));
			expect([name, response.headers.get("content-type")]).toEqual([name, expect.stringContaining("javascript")]);
			const code = await response.text();
			expect(code).not.toMatch(/^(?:import type|export interface|interface) /m);
			// All of its imports must exist. Otherwise a browser runs none of the code.
			for (const [, path] of code.matchAll(/^(?:import|export)[^;"]*? from "(\.[^"]+)"/gm)) {
				expect(names).toContain(new URL(path!, new URL(name, url)).pathname);
			}
		}
		// The server serves no other files of the project.
		for (
			const name of [
				"package.json",
				"examples/outbox.ts",
				"src/cli/cli.ts",
				"examples/outbox/page/..%2f..%2f..%2fdeno.json",
			]
		) {
			expect((await fetch(url + name)).status).toBe(404);
		}
		outbox.interrupt();
		expect(await outbox.ended).toBe(0);
		expect(outbox.text).not.toContain("\x1b");
		expect(outbox.errors).toBe("");
	}, timeout);

	test.each([
		[["--port", "70000"], 2, `--port takes a number from 0 to 65535, not "70000"`],
		[["--webhook", "ftp://127.0.0.1"], 2, "--webhook takes an http or https URL"],
		[["--for", "soon"], 2, `--for takes a number of seconds above 0, not "soon"`],
		[["--quick"], 2, "--help lists the options"],
		[["--db", "."], 1, "cannot open ."],
	])("with %j exits with %j", async (args, code, message) => {
		const outbox = start(...args);
		expect(await outbox.ended).toBe(code);
		expect(outbox.errors).toMatch(/^outbox: .+\n$/);
		expect(outbox.errors).toContain(message);
	}, timeout);
});

function idsOf(kind: string): string[] {
	return Array.from({ length: 100 }, (_, index) => `${kind}-${index}`);
}

/** Fails the first delivery of each id. */
function flaky(id: string, { received }: Webhook): number {
	return received.get(id) === 1 ? 503 : 204;
}

/** Sends a request with headers that `fetch` does not allow, such as another host or origin. */
async function statusFor(url: string, headers: Record<string, string>, method = "GET"): Promise<number | undefined> {
	const asked = request(url, { method, headers }).end();
	const [response] = await once(asked, "response");
	response.resume();
	return response.statusCode;
}
