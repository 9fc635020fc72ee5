import * as v from "valibot";
import { describe, expect, test, vi } from "vitest";
import { Lifecycle, Services } from "../../mod.ts";
import { servicesHandler, type ServicesHandlerOptions } from "../../src/http/http.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { settle, SpiedController, watch } from "../support.ts";

const origin = "http://localhost";

/** Creates a registry of two kinds and its handler, which allows all requests by default. */
function bench(options: ServicesHandlerOptions = {}) {
	const readConfig = v.object({ port: v.number(), fails: v.optional(v.boolean()) });
	const applied: unknown[] = [];
	const services = new Services({
		kinds: {
			web: () =>
				new Lifecycle((config) => {
					applied.push(config);
					if (config.fails) throw new Error(`the port ${config.port} is in use`);
				}, { readConfig }),
			plain: () => new Lifecycle((config) => void applied.push(config)),
		},
		ids: "kind",
	});
	const handler = servicesHandler(services, { authorize: () => true, ...options });
	const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
		const request = new Request(origin + path, {
			method,
			headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
			...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
		});
		// Only the browser itself may set some of these headers on a request.
		const all = new Headers(request.headers);
		for (const name of ["origin", "sec-fetch-site"]) if (name in headers) all.set(name, headers[name]!);
		Object.defineProperty(request, "headers", { value: all });
		return handler(request);
	};
	return { services, applied, handler, call };
}

async function problemOf(response: Response): Promise<Record<string, unknown>> {
	expect(response.headers.get("content-type")).toBe("application/problem+json");
	const problem = await response.json();
	expect([problem.status, typeof problem.title, typeof problem.detail]).toEqual([response.status, "string", "string"]);
	expect(JSON.stringify(problem)).not.toMatch(/\.[jt]s:\d|node_modules/);
	return problem;
}

describe("servicesHandler()", () => {
	test("creates, gets, configures, stops, starts and deletes", async () => {
		const { call, services, applied } = bench();
		const created = await call("POST", "/services", { id: "a b/ä", kind: "web", config: { port: 1 } });
		expect([created.status, created.headers.get("location")]).toEqual([201, "/services/a%20b%2F%C3%A4"]);
		const record = { id: "a b/ä", kind: "web", state: "active" };
		expect(await created.json()).toEqual(record);
		const path = created.headers.get("location")!;
		expect(await (await call("GET", path)).json()).toEqual(record);
		expect(await (await call("PUT", `${path}/config`, { port: 2 })).json()).toEqual(record);
		expect(await (await call("POST", `${path}/stop`)).json()).toEqual({ ...record, state: "inactive" });
		expect(await (await call("POST", `${path}/start`)).json()).toEqual(record);
		expect(applied).toEqual([{ port: 1 }, { port: 2 }, { port: 2 }]);
		const deleted = await call("DELETE", path);
		expect([deleted.status, await deleted.text(), services.list()]).toEqual([204, "", []]);
		expect((await call("DELETE", path)).status).toBe(404);
	});

	test("creates with the id of the registry's function, and inactive", async () => {
		const { call } = bench();
		const response = await call("POST", "/services", { kind: "plain", active: false });
		expect(await response.json()).toEqual({ id: "plain", kind: "plain", state: "inactive" });
	});

	test("gives the list in pages that follow each other", async () => {
		const { call, services } = bench({ pageSize: 3 });
		expect(await (await call("GET", "/services")).json()).toEqual({ services: [] });
		for (const id of ["a", "b&c=d", "e", "f", "g"]) await services.create({ id, kind: "plain" });
		const ids: string[][] = [];
		for (let path: string | undefined = "/services?limit=2"; path !== undefined;) {
			const response = await call("GET", path);
			const { services: page, next } = await response.json();
			expect(response.headers.get("link")).toBe(next === undefined ? null : `<${next}>; rel="next"`);
			ids.push(page.map(({ id }: { id: string }) => id));
			path = next;
		}
		expect(ids).toEqual([["a", "b&c=d"], ["e", "f"], ["g"]]);
		expect((await (await call("GET", "/services?limit=1000")).json()).services.length).toBe(3);
		for (const limit of ["0", "-1", "x", "1.5", ""]) {
			expect((await call("GET", `/services?limit=${limit}`)).status).toBe(400);
		}
	});

	test("answers HEAD without a body and OPTIONS with what is allowed", async () => {
		const { call } = bench();
		const head = await call("HEAD", "/services");
		expect([head.status, head.headers.get("content-type"), await head.text()]).toEqual([200, "application/json", ""]);
		const options = await call("OPTIONS", "/services/a");
		expect([options.status, options.headers.get("allow")]).toEqual([204, "GET, HEAD, DELETE, OPTIONS"]);
	});

	test("is never cached, and sniffed by nobody", async () => {
		const { call } = bench();
		for (const response of [await call("GET", "/services"), await call("GET", "/services/none")]) {
			expect(response.headers.get("cache-control")).toBe("no-store");
			expect(response.headers.get("x-content-type-options")).toBe("nosniff");
		}
	});

	test("takes another base path, also none", async () => {
		for (const basePath of ["/api/v1", ""]) {
			const { call } = bench({ basePath });
			const created = await call("POST", basePath || "/", { kind: "plain" });
			expect(created.headers.get("location")).toBe(`${basePath}/plain`);
			expect((await call("GET", `${basePath}/plain`)).status).toBe(200);
			expect((await call("GET", "/services/plain")).status).toBe(404);
		}
	});

	test("refuses options of the wrong type at the door", () => {
		const { services } = bench();
		expect(() => servicesHandler({} as never)).toThrow(TypeError);
		for (const basePath of ["services", "/", "/services/"]) {
			expect(() => servicesHandler(services, { basePath })).toThrow(RangeError);
		}
		const wrong: ServicesHandlerOptions[] = [{ pageSize: 0 }, { pageSize: 1.5 }, { maxBodySize: 0 }, { heartbeat: 0 }];
		for (const options of wrong) expect(() => servicesHandler(services, options)).toThrow(RangeError);
		expect(() => servicesHandler(services, { authorize: true as never })).toThrow(TypeError);
	});
});

describe("servicesHandler() authorize", () => {
	const requests: [method: string, path: string, action: string, id?: string][] = [
		["GET", "/services", "list"],
		["POST", "/services", "create"],
		["GET", "/services/a%20b", "get", "a b"],
		["DELETE", "/services/a", "delete", "a"],
		["PUT", "/services/a/config", "configure", "a"],
		["POST", "/services/a/start", "start", "a"],
		["POST", "/services/a/stop", "stop", "a"],
	];

	test("absent, everything is 403", async () => {
		const { call } = bench({ authorize: undefined });
		for (const [method, path] of [...requests, ["OPTIONS", "/services"], ["GET", "/elsewhere"]] as const) {
			expect((await problemOf(await call(method, path))).status).toBe(403);
		}
		expect((await call("GET", "/services", undefined, { accept: "text/event-stream" })).status).toBe(403);
	});

	test("is told what a request wants, before anything is read or looked up", async () => {
		const authorize = vi.fn(async () => false);
		const { call } = bench({ authorize });
		for (const [method, path] of requests) expect((await call(method, path)).status).toBe(403);
		await call("GET", "/services", undefined, { accept: "text/event-stream" });
		expect(authorize.mock.calls.map((args: unknown[]) => args[1])).toEqual([
			...requests.map(([, , action, id]) => ({ action, id })),
			{ action: "watch", id: undefined },
		]);
		expect((authorize.mock.calls as unknown[][])[0]![0]).toBeInstanceOf(Request);
	});

	test("lets through by nothing but true, and can answer by itself", async () => {
		for (const answer of [false, 1, "yes", {}, undefined]) {
			expect((await bench({ authorize: () => answer as boolean }).call("GET", "/services")).status).toBe(403);
		}
		const authorize = () => new Response("who?", { status: 401, headers: { "www-authenticate": "Basic" } });
		const response = await bench({ authorize }).call("GET", "/services");
		expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, "Basic"]);
	});

	test("that throws is a fault of the server: 500, reported, and nothing is done", async () => {
		const onError = vi.fn();
		const failure = new Error("no database at db.internal");
		const { call, services } = bench({ authorize: () => Promise.reject(failure), onError });
		const problem = await problemOf(await call("POST", "/services", { kind: "plain" }));
		expect([problem.status, JSON.stringify(problem)]).toEqual([500, expect.not.stringContaining("db.internal")]);
		expect([onError.mock.calls, services.list()]).toEqual([[[failure]], []]);
	});
});

describe("servicesHandler() problems", () => {
	test("400 for a configuration that cannot be read, with what is wrong, and nothing changes", async () => {
		const { call, services, applied } = bench();
		const create = await call("POST", "/services", { kind: "web", config: { port: "80" } });
		expect(await problemOf(create)).toMatchObject({
			status: 400,
			errors: [{ detail: expect.any(String), pointer: "/port" }],
		});
		expect(services.list()).toEqual([]);
		await services.create({ kind: "web", config: { port: 1 } });
		const before = services.revision;
		expect((await problemOf(await call("PUT", "/services/web/config", { port: "80" }))).status).toBe(400);
		expect((await problemOf(await call("PUT", "/services/web/config", "{"))).status).toBe(400);
		expect((await problemOf(await call("PUT", "/services/web/config", ""))).status).toBe(400);
		expect([services.revision, applied]).toEqual([before, [{ port: 1 }]]);
	});

	test("400 for a body that is no request, in every way", async () => {
		const { call, services } = bench();
		const bodies = [
			"{",
			"\u0000",
			"null",
			"[]",
			"1",
			"{}",
			{ kind: 1 },
			{ kind: "none" },
			{ kind: "__proto__" },
			`{"__proto__":{"kind":"plain"}}`,
			{ kind: "plain", conifg: {} },
			{ kind: "plain", active: "no" },
			{ kind: "plain", id: 1 },
			{ kind: "plain", id: "" },
			{ kind: "plain", id: ".." },
			{ kind: "plain", id: "\ud800" },
			{ kind: "plain", id: null },
		];
		for (const body of bodies) expect((await problemOf(await call("POST", "/services", body))).status).toBe(400);
		expect(services.list()).toEqual([]);
	});

	test("404 for a service or a path that is not there", async () => {
		const { call } = bench();
		const requests: [string, string, unknown?][] = [
			["GET", "/services/none"],
			["DELETE", "/services/none"],
			["PUT", "/services/none/config", {}],
			["POST", "/services/none/start"],
			["POST", "/services/none/stop"],
			["GET", "/"],
			["GET", "/servicesx"],
			["GET", "/services/"],
			["GET", "/services/a/b"],
			["GET", "/services/%ff"],
			["GET", "/services/constructor"],
			["GET", "/services/a/constructor"],
		];
		for (const [method, path, body] of requests) {
			expect((await problemOf(await call(method, path, body))).status).toBe(404);
		}
	});

	test("405 with what is allowed, for any other method", async () => {
		const { call } = bench();
		for (
			const [method, path] of [["PATCH", "/services/a"], ["PUT", "/services"], ["GET", "/services/a/start"]] as const
		) {
			const response = await call(method, path);
			expect((await problemOf(response)).status).toBe(405);
			expect(response.headers.get("allow")).toContain("OPTIONS");
		}
	});

	test("409 for an id that is taken and for a service that is not started", async () => {
		const { call } = bench();
		await call("POST", "/services", { kind: "plain" });
		expect((await problemOf(await call("POST", "/services", { kind: "plain" }))).status).toBe(409);
		await call("POST", "/services/plain/stop");
		expect((await problemOf(await call("PUT", "/services/plain/config", {}))).status).toBe(409);
	});

	test("413 for a body that is too large, and not for one that just fits", async () => {
		const { call, services } = bench({ maxBodySize: 40 });
		const fitting = (size: number) => `{"kind":"plain","id":"${"x".repeat(size - 24)}"}`;
		expect(fitting(40).length).toBe(40);
		expect((await call("POST", "/services", fitting(40))).status).toBe(201);
		expect((await problemOf(await call("POST", "/services", fitting(41)))).status).toBe(413);
		const declared = await call("POST", "/services", fitting(39), { "content-length": "39" });
		expect(declared.status).toBe(201);
		expect(services.list().length).toBe(2);
	});

	test("415 for a body that does not say that it is JSON", async () => {
		const { call } = bench();
		for (const type of ["text/plain", "application/jsonx", "text/json; application/json"]) {
			const response = await call("POST", "/services", { kind: "plain" }, { "content-type": type });
			expect((await problemOf(response)).status).toBe(415);
		}
		const types = ["application/json;charset=utf-8", "application/vnd.example+json"];
		for (const [index, type] of types.entries()) {
			const response = await call("POST", "/services", { id: `${index}`, kind: "plain" }, { "content-type": type });
			expect(response.status).toBe(201);
		}
	});

	test("the same for errors of another build of this library: they are told by their names", async () => {
		const errors: [object, number][] = [
			[{ name: "UnknownKindError" }, 400],
			[
				{ name: "InvalidConfigError", cause: { name: "ValidationError", issues: [{ message: "no", path: ["a"] }] } },
				400,
			],
			[{ name: "ServiceNotFoundError" }, 404],
			[{ name: "NameInUseError", subject: "service" }, 409],
			[{ name: "NameInUseError", subject: "task" }, 500],
			[{ name: "ServiceFailedError", cause: new Error("in the text") }, 422],
			[{ name: "SomethingElse" }, 500],
			[{ name: "toString" }, 500],
		];
		for (const [fields, status] of errors) {
			const services = { watch() {}, start: () => Promise.reject(Object.assign(new Error("text"), fields)) };
			const handler = servicesHandler(services as never, { authorize: () => true });
			const response = await handler(new Request(`${origin}/services/a/start`, { method: "POST" }));
			expect(response.status).toBe(status);
			const problem = await problemOf(response);
			if ("cause" in fields) {
				expect(problem).toMatchObject(status === 400 ? { errors: [{ pointer: "/a" }] } : { detail: "text" });
			}
		}
	});

	test("a configuration that is a string is a string, and read as JSON once", async () => {
		const { call, applied } = bench();
		expect((await call("POST", "/services", { kind: "plain", config: "{" })).status).toBe(201);
		expect((await call("PUT", "/services/plain/config", `"[1]"`)).status).toBe(200);
		expect((await call("POST", "/services/plain/stop")).status).toBe(200);
		expect((await call("POST", "/services/plain/start")).status).toBe(200);
		expect(applied).toEqual(["{", "[1]", "[1]"]);
		expect((await call("POST", "/services", { kind: "plain", parsed: false })).status).toBe(400);
	});

	test("422 for a service that fails, with the reason; a configuration that fails later shows in the state", async () => {
		const { call, services } = bench();
		const config = { port: 80, fails: true };
		const problem = await problemOf(await call("POST", "/services", { kind: "web", config }));
		expect(problem).toMatchObject({ status: 422, detail: expect.stringContaining("the port 80 is in use") });
		expect(services.list()).toEqual([]);
		await services.create({ kind: "web" });
		const response = await call("PUT", "/services/web/config", config);
		const record = { id: "web", kind: "web", state: "error", error: "the port 80 is in use" };
		expect([response.status, await response.json()]).toEqual([200, record]);
	});
});

/** Reads a stream of events piece by piece. */
class Client {
	readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
	readonly #decoder = new TextDecoder();

	constructor(response: Response) {
		expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
		this.#reader = response.body!.getReader();
	}

	async next(): Promise<string | undefined> {
		const { value } = await this.#reader.read();
		return value && this.#decoder.decode(value);
	}

	/** Reads events: the type, id and data of each. The type of a comment is its text. */
	async events(count: number): Promise<{ type: string; id: string; data: Record<string, string> }[]> {
		const events = [];
		while (events.length < count) {
			const text = (await this.next())!;
			const match = /^id: (\S+)\nevent: (\w+)\ndata: ([^\r\n]*)\n\n$/.exec(text);
			events.push(
				match ? { id: match[1]!, type: match[2]!, data: JSON.parse(match[3]!) } : { type: text, id: "", data: {} },
			);
		}
		return events;
	}

	async brief(count: number): Promise<string[]> {
		return (await this.events(count)).map(({ type, data }) => [type, data["id"], data["state"]].join(" ").trim());
	}

	cancel(): Promise<void> {
		return this.#reader.cancel();
	}
}

describe("servicesHandler() server-sent events", () => {
	const open = async (handler: (request: Request) => Promise<Response>, init: RequestInit = {}) =>
		new Client(
			await handler(
				new Request(`${origin}/services`, { ...init, headers: { accept: "text/event-stream", ...init.headers } }),
			),
		);

	test("begin with reset and the present services, then give each change", async () => {
		const { handler, services } = bench();
		await services.create({ kind: "plain" });
		const client = await open(handler);
		expect(await client.brief(2)).toEqual(["reset", "added plain active"]);
		const next = client.brief(1);
		await services.stop("plain");
		expect(await next).toEqual(["updated plain inactive"]);
		await services.delete("plain");
		expect(await client.brief(1)).toEqual(["removed plain inactive"]);
		await client.cancel();
	});

	test("resume after Last-Event-ID with what has happened since, and begin anew if it is unknown", async () => {
		const { handler, services } = bench();
		for (const id of ["a", "b"]) await services.create({ id, kind: "plain" });
		const client = await open(handler);
		const events = await client.events(3);
		await client.cancel();
		await services.stop("a");
		await services.delete("b");
		const known = events.at(-1)!.id;
		const resumed = await open(handler, { headers: { "last-event-id": known } });
		expect(await resumed.brief(3)).toEqual([":", "updated a inactive", "removed b inactive"]);
		await resumed.cancel();
		const [epoch, revision] = [known.slice(0, known.lastIndexOf("-")), services.revision];
		const unknown = [
			"",
			"x",
			`other-${revision}`,
			`${epoch}-${revision + 1}`,
			`${epoch}--1`,
			`${epoch}-x`,
			`${epoch}-0`,
		];
		for (const id of unknown) {
			const anew = await open(handler, { headers: { "last-event-id": id } });
			expect(await anew.brief(2)).toEqual(["reset", "added a inactive"]);
			await anew.cancel();
		}
	});

	test("cannot be broken by an id or an error", async () => {
		const services = new Services({
			kinds: {
				a: () =>
					new Lifecycle(() => {
						throw new Error("one\ntwo\r\n\r\ndata: three");
					}),
			},
		});
		const handler = servicesHandler(services, { authorize: () => true });
		const id = "x\n\nevent: removed\rdata: {}\u2028";
		await services.create({ id, kind: "a" });
		await services.configure(id, {});
		const client = await open(handler);
		const [, added] = await client.events(2);
		expect(added).toMatchObject({ type: "added", data: { id, error: "one\ntwo\r\n\r\ndata: three" } });
		await client.cancel();
	});

	test("conflate for a client that is slow", async () => {
		const { handler, services } = bench();
		await services.create({ kind: "plain" });
		const client = await open(handler);
		await client.brief(2);
		await settle();
		for (let i = 0; i < 1_000; i++) {
			await services.stop("plain");
			await services.start("plain");
		}
		await services.create({ kind: "web" });
		const seen: string[] = [];
		while (seen.at(-1) !== "added web active") seen.push(...await client.brief(1));
		expect(seen.length).toBeLessThan(5);
		expect(seen.at(-2)).toBe("updated plain active");
		await client.cancel();
	});

	test("send a comment when nothing has happened for a heartbeat, and none that nobody takes", async () => {
		const clock = new VirtualClock();
		const { handler, services } = bench({ clock, heartbeat: 100 });
		const client = await open(handler);
		await client.brief(1);
		const next = watch(client.next());
		await clock.advance(99);
		expect(next.state).toBe("pending");
		await clock.advance(1);
		expect(next.value).toBe(":\n\n");
		await clock.advance(1_000);
		expect(await client.next()).toBe(":\n\n");
		const change = watch(client.next());
		await clock.advance(50);
		await services.create({ kind: "plain" });
		await settle();
		expect(change.value).toContain("added");
		const after = watch(client.next());
		await clock.advance(99);
		expect(after.state).toBe("pending");
		await clock.advance(1);
		expect(after.value).toBe(":\n\n");
		await client.cancel();
		expect(clock.pending).toBe(0);
	});

	test("end when the request is aborted or the stream cancelled, with timer, listener and subscription", async () => {
		const clock = new VirtualClock();
		const { services, handler } = bench({ clock });
		const ended = vi.fn();
		const watched = services.watch.bind(services);
		services.watch = (options) => {
			const changes = watched(options);
			const end = changes.return!.bind(changes);
			changes.return = () => {
				ended();
				return end();
			};
			return changes;
		};
		const cases: ((client: Client, controller: AbortController) => unknown)[] = [
			(client) => client.cancel(),
			(_client, controller) => controller.abort(),
		];
		for (const end of cases) {
			ended.mockClear();
			const { controller, request } = spied();
			const client = new Client(await handler(request));
			await client.brief(1);
			expect([clock.pending, controller.listeners]).toEqual([1, 1]);
			const rest = watch(client.next());
			await end(client, controller);
			await settle();
			expect([rest.state, rest.value]).toEqual(["resolved", undefined]);
			expect([clock.pending, controller.listeners]).toEqual([0, 0]);
			expect(ended).toHaveBeenCalled();
			await services.create({ kind: "plain" });
			await services.delete("plain");
		}
	});

	test("end at once for a request that was aborted before, and for HEAD", async () => {
		const clock = new VirtualClock();
		const { handler } = bench({ clock });
		const { controller, request } = spied();
		controller.abort();
		const client = new Client(await handler(request));
		expect(await client.brief(1)).toEqual(["reset"]);
		expect(await client.next()).toBe(undefined);
		const head = await handler(
			new Request(`${origin}/services`, { method: "HEAD", headers: { accept: "text/event-stream" } }),
		);
		expect([head.headers.get("content-type"), await head.text()]).toEqual(["text/event-stream", ""]);
		expect(clock.pending).toBe(0);
	});
});

/** Creates a request whose signal is the signal of the controller itself, not a derived one. */
function spied(): { controller: SpiedController; request: Request } {
	const controller = new SpiedController();
	const request = new Request(`${origin}/services`, { headers: { accept: "text/event-stream" } });
	Object.defineProperty(request, "signal", { value: controller.signal });
	return { controller, request };
}

describe("servicesHandler() and other sites", () => {
	/** Requests that change state, without and with a body. */
	const changes: [method: string, path: string, body?: unknown][] = [
		["POST", "/services", { id: "new", kind: "plain" }],
		["PUT", "/services/a/config", {}],
		["POST", "/services/a/start"],
		["POST", "/services/a/stop"],
		["DELETE", "/services/a"],
	];
	const foreign: Record<string, string>[] = [
		{ "sec-fetch-site": "cross-site" },
		{ "sec-fetch-site": "same-site", origin: "http://other.localhost" },
		{ "sec-fetch-site": "cross-site", origin },
		{ origin: "https://evil.example" },
		{ origin: "http://localhost:81" },
		{ origin: "null" },
		{ origin: "nonsense" },
		{ origin: "" },
	];
	const own: Record<string, string>[] = [
		{},
		{ "sec-fetch-site": "same-origin", origin },
		{ "sec-fetch-site": "none" },
		{ origin },
		{ origin: "https://localhost" }, // TLS ends at a proxy
		{ "sec-fetch-site": "cross-site", origin: "https://admin.example.com" },
	];

	test("a request of another origin's page changes nothing, with or without a body", async () => {
		const authorize = vi.fn(() => true);
		for (const headers of foreign) {
			for (const [method, path, body] of changes) {
				const { call, services } = bench({ authorize, trustedOrigins: ["https://admin.example.com"] });
				await services.create({ id: "a", kind: "plain" });
				const before = services.revision;
				const response = await call(method, path, body, headers);
				expect([response.status, services.revision]).toEqual([403, before]);
				await problemOf(response);
			}
		}
		expect(authorize).not.toHaveBeenCalled();
	});

	test("a request of its own origin, of a trusted one, or of no browser is served", async () => {
		for (const headers of own) {
			for (const [method, path, body] of changes) {
				const { call, services } = bench({ trustedOrigins: ["https://admin.example.com"] });
				await services.create({ id: "a", kind: "plain" });
				expect((await call(method, path, body, headers)).status).toBeLessThan(300);
			}
		}
	});

	test("a form is refused by its content type, also an empty one; reading is allowed", async () => {
		for (const type of ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""]) {
			for (const [method, path, body] of changes) {
				const { call, services } = bench();
				await services.create({ id: "a", kind: "plain" });
				const before = services.revision;
				expect((await call(method, path, body, { "content-type": type })).status).toBe(415);
				expect(services.revision).toBe(before);
			}
		}
		const { call } = bench();
		for (const headers of foreign) expect((await call("GET", "/services", undefined, headers)).status).toBe(200);
	});

	test("refuses origins that are none at the door", () => {
		for (const trustedOrigins of ["https://a.example", ["a.example"], ["https://a.example/"], [5], [null], {}, ["*"]]) {
			expect(() => bench({ trustedOrigins: trustedOrigins as never })).toThrow(/trustedOrigins/);
		}
	});
});

describe("servicesHandler() and its streams", () => {
	const open = (call: ReturnType<typeof bench>["call"], headers: Record<string, string> = {}) =>
		call("GET", "/services", undefined, { accept: "text/event-stream", ...headers });

	test("opens no more than maxStreams, until one ends", async () => {
		const { call } = bench({ maxStreams: 2, clock: new VirtualClock() });
		const [first, second] = [await open(call), await open(call)];
		const refused = await open(call);
		expect([first.status, second.status, refused.status, refused.headers.get("retry-after")]).toEqual([
			200,
			200,
			503,
			"10",
		]);
		await problemOf(refused);
		expect((await call("HEAD", "/services", undefined, { accept: "text/event-stream" })).status).toBe(503);
		await first.body!.cancel();
		const third = await open(call);
		expect(third.status).toBe(200);
		await second.body!.cancel();
		expect((await call("HEAD", "/services", undefined, { accept: "text/event-stream" })).status).toBe(200);
		const fourth = await open(call);
		expect(fourth.status).toBe(200);
		for (const { body } of [third, fourth]) await body!.cancel();
	});

	test("ends a stream whose client lets too much wait, and the client can come back", async () => {
		const clock = new VirtualClock();
		const { call, services } = bench({ maxStreamWaiting: 5, clock });
		for (let i = 0; i < 20; i++) await services.create({ id: `old ${i}`, kind: "plain" });
		const response = await open(call);
		await settle();
		for (let i = 0; i < 30; i++) await services.create({ id: `new ${i}`, kind: "plain" });
		const text = await response.text();
		expect(text.startsWith("id: ")).toBe(true);
		expect(text.match(/event: added/g)?.length ?? 0).toBeLessThan(50);
		expect(clock.pending).toBe(0);
		const id = /id: ([^\n]+)\n(?![\s\S]*id: )/.exec(text)![1]!;
		const again = await open(call, { "last-event-id": id });
		await clock.advance(0);
		expect(again.status).toBe(200);
		await again.body!.cancel();
	});

	test("ends a stream after maxStreamTime, whether or not its client reads", async () => {
		for (const reads of [true, false]) {
			const clock = new VirtualClock();
			const { call, services } = bench({ maxStreamTime: 12_000, clock });
			await services.create({ id: "a", kind: "plain" });
			const response = await open(call);
			const read = reads ? response.text() : undefined;
			await clock.advance(11_999);
			expect(clock.pending).toBe(1);
			await clock.advance(1);
			expect(clock.pending).toBe(0);
			// The platform ends the text in its own time.
			const text = await (read ?? response.text());
			if (!reads) expect(text).toContain("reset");
		}
	});

	test("resume from a revision that is forgotten between the request and the first read", async () => {
		const clock = new VirtualClock();
		const onError = vi.fn();
		const { call, services } = bench({ clock, onError });
		await services.create({ id: "a", kind: "plain" });
		const first = await open(call);
		const reader = first.body!.getReader();
		const decoder = new TextDecoder();
		let text = "";
		while (!text.includes("added")) text += decoder.decode((await reader.read()).value);
		await reader.cancel();
		const id = text.match(/id: [^\n]+/g)!.at(-1)!.slice(4);
		const response = await open(call, { "last-event-id": id });
		for (let i = 0; i <= 1_000; i++) {
			await services.create({ id: `${i}`, kind: "plain" });
			await services.delete(`${i}`);
		}
		await services.create({ id: "b", kind: "plain" });
		const resumed = response.body!.getReader();
		let seen = "";
		while (!seen.includes(`"b"`)) {
			const { value, done } = await resumed.read();
			expect(done).toBe(false);
			seen += decoder.decode(value);
		}
		expect([seen.includes("event: reset"), onError.mock.calls.length]).toEqual([false, 0]);
		await resumed.cancel();
		expect(clock.pending).toBe(0);
	});

	test("refuses limits that are none at the door", () => {
		for (const name of ["maxStreams", "maxStreamWaiting", "maxStreamTime"]) {
			for (const value of [0, -1, NaN, "5", null, {}]) expect(() => bench({ [name]: value })).toThrow(name);
		}
		expect(() => bench({ maxStreams: 1.5 })).toThrow(RangeError);
	});
});
