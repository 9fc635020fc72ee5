// The handler with a real server of the runtime: node:http with the adapter of the example, Deno.serve or Bun.serve.
import { afterEach, describe, expect, test } from "vitest";
import { request } from "node:http";
import { type RunningServer, serve } from "../../../examples/shared/serve.ts";
import { Lifecycle, Services } from "../../../mod.ts";
import { servicesHandler } from "../../../src/http/http.ts";
import { type Deferred, deferred } from "../../support.ts";

const servers: RunningServer[] = [];

afterEach(async () => {
	for (const server of servers.splice(0)) await server.close();
});

/** Starts a server, with a promise for the end of each watch. */
async function bench() {
	const services = new Services({ kinds: { a: () => new Lifecycle(() => {}) } });
	const ends: Deferred[] = [];
	const watched = services.watch.bind(services);
	services.watch = (options) => {
		const changes = watched(options);
		const end = deferred();
		ends.push(end);
		const original = changes.return!.bind(changes);
		changes.return = () => {
			end.resolve();
			return original();
		};
		return changes;
	};
	const handler = servicesHandler(services, { authorize: () => true, maxBodySize: 1_000, heartbeat: 20 });
	const server = await serve(handler, 0);
	servers.push(server);
	return { services, ends, url: `http://127.0.0.1:${server.port}/services` };
}

/** Reads until the text arrives. */
async function until(reader: ReadableStreamDefaultReader<Uint8Array>, text: string): Promise<string> {
	let all = "";
	while (!all.includes(text)) {
		const { value, done } = await reader.read();
		if (done) throw new Error(`The stream has ended: ${all}`);
		all += new TextDecoder().decode(value);
	}
	return all;
}

describe("servicesHandler() behind a server", () => {
	test("creates, lists, configures and deletes", async () => {
		const { url } = await bench();
		const headers = { "content-type": "application/json" };
		const created = await fetch(url, { method: "POST", headers, body: `{"id":"ä/b","kind":"a","config":{}}` });
		expect([created.status, await created.json()]).toEqual([201, { id: "ä/b", kind: "a", state: "active" }]);
		const path = new URL(created.headers.get("location")!, url);
		expect((await (await fetch(url)).json()).services.length).toBe(1);
		const configured = await fetch(`${path}/config`, { method: "PUT", headers, body: "[1]" });
		expect([configured.status, (await configured.json()).state]).toEqual([200, "active"]);
		const head = await fetch(path, { method: "HEAD" });
		expect([head.status, await head.text()]).toEqual([200, ""]);
		expect((await fetch(path, { method: "DELETE" })).status).toBe(204);
		expect((await fetch(path)).status).toBe(404);
	});

	test("refuses a body that is too large, also one in chunks that does not say how large it is", async () => {
		const { url, services } = await bench();
		const headers = { "content-type": "application/json" };
		const declared = await fetch(url, { method: "POST", headers, body: " ".repeat(1_001) });
		expect([declared.status, (await declared.json()).status]).toEqual([413, 413]);
		const status = await new Promise<number | undefined>((resolve, reject) => {
			const chunked = request(url, { method: "POST", headers }, (response) => {
				response.resume();
				resolve(response.statusCode);
			}).on("error", reject);
			for (let i = 0; i < 11; i++) chunked.write(" ".repeat(100));
			chunked.end();
		});
		expect([status, services.list()]).toEqual([413, []]);
	});

	test("streams changes and heartbeats, and a client that goes away frees its subscription", async () => {
		const { url, services, ends } = await bench();
		const controller = new AbortController();
		const headers = { accept: "text/event-stream" };
		const response = await fetch(url, { headers, signal: controller.signal });
		expect(response.headers.get("content-type")).toBe("text/event-stream");
		const reader = response.body!.getReader();
		await until(reader, "event: reset");
		await services.create({ id: "x", kind: "a" });
		const added = await until(reader, "event: added");
		await until(reader, ":\n\n");
		controller.abort();
		await ends[0]!.promise;
		const id = /id: (.+)\nevent: added/.exec(added)![1]!;
		await services.stop("x");
		const resumed = await fetch(url, { headers: { ...headers, "last-event-id": id } });
		const again = resumed.body!.getReader();
		const text = await until(again, "event: updated");
		expect(text).not.toMatch(/event: (reset|added)/);
		await again.cancel();
		await ends[1]!.promise;
	});

	test("ends its streams with the server", async () => {
		const { url, ends } = await bench();
		const response = await fetch(url, { headers: { accept: "text/event-stream" } });
		const reader = response.body!.getReader();
		await until(reader, "event: reset");
		const rest = until(reader, "nothing").catch((error: unknown) => error);
		await servers.pop()!.close();
		expect(await rest).toBeInstanceOf(Error);
		await ends[0]!.promise;
	});
});
