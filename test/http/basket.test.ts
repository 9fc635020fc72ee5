import { describe, expect, test, vi } from "vitest";
import { Basket, job, memoryStore, Processor, StoreError } from "../../mod.ts";
import * as v from "valibot";
import {
	type BasketGrant,
	basketHandler,
	type BasketHandlerOptions,
	inspectionActions,
	type InspectionChange,
	meter,
} from "../../src/http/http.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { settle, SpiedController, watch } from "../support.ts";

const origin = "http://localhost";

function bench(options: BasketHandlerOptions = {}) {
	const clock = new VirtualClock({ now: 1_000_000_000 });
	const store = memoryStore({ clock });
	const rates = meter({ clock });
	const outbox = new Basket({ store, clock, observe: rates, tasks: { mail: (_: unknown) => {} } });
	const trip = job<string>("trip")
		.step("flight", { run: () => 1, revert: () => {} })
		.waitFor("approval", { schema: v.object({ by: v.string() }) });
	const processor = new Processor({ store, clock, jobs: [trip] });
	const counts = vi.spyOn(outbox, "counts");
	const handler = basketHandler({ outbox, processor }, { authorize: () => "all", clock, meter: rates, ...options });
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
	const drain = async () => {
		for (const one of [outbox, processor]) {
			const draining = watch(one.drain());
			while (draining.state === "pending") await clock.advance(0);
		}
	};
	return { clock, outbox, processor, trip, handler, call, counts, drain };
}

async function problemOf(response: Response): Promise<Record<string, unknown>> {
	expect(response.headers.get("content-type")).toBe("application/problem+json");
	const problem = await response.json();
	expect([problem.status, typeof problem.title, typeof problem.detail]).toEqual([response.status, "string", "string"]);
	return problem;
}

describe("basketHandler()", () => {
	test("shows the overview, lists, details, and changes", async () => {
		const { outbox, processor, trip, call, drain } = bench();
		await outbox.add("mail", { to: "ada" }, { id: "a" });
		await outbox.add("mail", { to: "bob" }, { id: "b", lane: "bob" });
		await processor.add(trip, "ada", { id: "t" });
		const overview = await (await call("GET", "/upkeep")).json();
		expect(overview).toMatchObject({
			at: 1_000_000_000,
			sources: [{ source: "outbox", counts: { waiting: 2 } }, { source: "processor", counts: { waiting: 1 } }],
			actions: inspectionActions,
		});
		const { items, next } = await (await call("GET", "/upkeep/tasks?limit=1&state=waiting&order=oldest")).json();
		expect([items[0].id, items.length, typeof next]).toEqual(["a", 1, "string"]);
		const rest = await (await call("GET", `/upkeep/tasks?limit=1&state=waiting&order=oldest&after=${next}`)).json();
		expect([rest.items[0].id, rest.next]).toEqual(["b", undefined]);
		const task = await (await call("GET", "/upkeep/task?id=b")).json();
		expect(task).toMatchObject({ id: "b", lane: "bob", payload: { value: { to: "bob" } }, ahead: { count: 0 } });
		const done = await call("POST", "/upkeep/actions/hold?id=b", {});
		expect([done.status, await done.json()]).toEqual([200, { changed: 1 }]);
		expect((await outbox.get("b"))!.state).toBe("held");
		await drain();
		const signal = await call("POST", "/upkeep/actions/signal?id=t", { name: "approval", value: { by: "eve" } });
		expect(await signal.json()).toEqual({ changed: 1 });
		const half = await problemOf(await call("POST", "/upkeep/actions/delete?id=t&source=processor", {}));
		expect(half["status"]).toBe(409);
		expect((await call("POST", "/upkeep/actions/delete?id=t&source=processor", { halfDone: true })).status).toBe(200);
		expect(await processor.get("t")).toBe(undefined);
	});

	test("takes each id that a task can have", async () => {
		const { outbox, call } = bench();
		const ids = [
			"a/b",
			"..",
			".",
			"a?b=c&d#e",
			"ü – 漢字 🚀",
			"a\nb\u0001\u2028",
			"<img src=x onerror=alert(1)>",
			"%2f%00",
			"x".repeat(255),
		];
		for (const id of ids) {
			await outbox.add("mail", {}, { id });
			const query = new URLSearchParams({ id });
			expect((await (await call("GET", `/upkeep/task?${query}`)).json()).id).toBe(id);
			expect(await (await call("POST", `/upkeep/actions/hold?${query}`, {})).json()).toEqual({ changed: 1 });
		}
	});

	test("answers HEAD without a body, OPTIONS with what is allowed, and is never cached or sniffed", async () => {
		const { call } = bench();
		const head = await call("HEAD", "/upkeep");
		expect([head.status, head.headers.get("content-type"), await head.text()]).toEqual([200, "application/json", ""]);
		expect((await call("OPTIONS", "/upkeep/tasks")).headers.get("allow")).toBe("GET, HEAD, OPTIONS");
		expect((await call("OPTIONS", "/upkeep/actions/hold")).headers.get("allow")).toBe("POST, OPTIONS");
		for (const response of [await call("GET", "/upkeep"), await call("GET", "/upkeep/task?id=none")]) {
			expect(response.headers.get("cache-control")).toBe("no-store");
			expect(response.headers.get("x-content-type-options")).toBe("nosniff");
		}
	});

	test("takes another base path, also none", async () => {
		for (const basePath of ["/api/v1", ""]) {
			const { call } = bench({ basePath });
			expect((await call("GET", basePath || "/")).status).toBe(200);
			expect((await call("GET", `${basePath}/tasks`)).status).toBe(200);
			expect((await call("GET", "/upkeep")).status).toBe(404);
		}
	});

	test("works with a basket or a processor alone", async () => {
		const store = memoryStore();
		const authorize = () => "all" as const;
		const outbox = basketHandler({ outbox: new Basket({ store, tasks: {} }) }, { authorize });
		const jobs = basketHandler({ processor: new Processor({ store, jobs: [] }) }, { authorize });
		const overviewOf = async (handler: typeof jobs) => await (await handler(new Request(`${origin}/upkeep`))).json();
		expect((await overviewOf(outbox)).actions).not.toContain("cancel");
		expect((await overviewOf(jobs)).actions).toEqual(inspectionActions);
		expect((await outbox(new Request(`${origin}/upkeep/tasks?source=processor`))).status).toBe(400);
	});
});

describe("basketHandler() authorize", () => {
	const requests: [method: string, path: string, action: string, source?: string, id?: string][] = [
		["GET", "/upkeep", "overview"],
		["GET", "/upkeep/changes", "watch"],
		["GET", "/upkeep/tasks?source=outbox", "list", "outbox"],
		["GET", "/upkeep/task?id=a%2Fb&source=processor", "get", "processor", "a/b"],
		...inspectionActions.map((type) => ["POST", `/upkeep/actions/${type}?id=a`, type, undefined, "a"] as const),
	] as never;

	test("absent, everything is 403, and nothing is read", async () => {
		const { call, counts } = bench({ authorize: undefined });
		for (const [method, path] of [...requests, ["OPTIONS", "/upkeep"], ["GET", "/elsewhere"]] as const) {
			expect((await problemOf(await call(method, path))).status).toBe(403);
		}
		expect(counts.mock.calls.length).toBe(0);
	});

	test("is told what a request wants, before anything is read: not even the body", async () => {
		const authorize = vi.fn(async () => false);
		const { call, counts } = bench({ authorize });
		for (const [method, path] of requests) {
			const body = method === "POST" ? "{ no JSON" : undefined;
			expect((await problemOf(await call(method, path, body))).status).toBe(403);
		}
		expect(authorize.mock.calls.map((args: unknown[]) => args[1])).toEqual(
			requests.map(([, , action, source, id]) => ({ action, source, id })),
		);
		expect(counts.mock.calls.length).toBe(0);
	});

	test("an address that names something twice is 400: who looks into it may see the other one", async () => {
		const authorize = vi.fn(() => "all" as const);
		const { call, counts } = bench({ authorize });
		for (const more of ["id=b", "source=outbox&source=processor", "%69d=b", "id=a", "__proto__=1&__proto__=2"]) {
			for (
				const [method, path] of [["POST", "/upkeep/actions/delete"], ["GET", "/upkeep/task"], ["GET", "/upkeep/tasks"]]
			) {
				const response = await call(method!, `${path}?id=a&${more}`, method === "POST" ? {} : undefined);
				expect((await problemOf(response)).status).toBe(400);
			}
		}
		expect([authorize.mock.calls.length, counts.mock.calls.length]).toEqual([0, 0]);
	});

	test("true allows to read, and no change", async () => {
		const { call, outbox } = bench({ authorize: () => true });
		await outbox.add("mail", {}, { id: "a" });
		expect((await (await call("GET", "/upkeep")).json()).actions).toEqual([]);
		expect((await call("GET", "/upkeep/task?id=a")).status).toBe(200);
		for (const type of inspectionActions) {
			expect((await problemOf(await call("POST", `/upkeep/actions/${type}?id=a`, {}))).status).toBe(403);
		}
		expect((await outbox.get("a"))!.state).toBe("waiting");
		expect(await outbox.pauses()).toEqual({ all: false, kinds: [] });
	});

	test("a list allows these actions only, and unknown words nothing", async () => {
		const { call, outbox } = bench({ authorize: () => ["hold", "everything"] as never });
		await outbox.add("mail", {}, { id: "a" });
		expect((await (await call("GET", "/upkeep")).json()).actions).toEqual(["hold"]);
		expect((await call("POST", "/upkeep/actions/delete?id=a", {})).status).toBe(403);
		expect((await call("POST", "/upkeep/actions/hold?id=a", {})).status).toBe(200);
	});

	test("lets through by nothing else, and can answer by itself", async () => {
		for (const grant of [false, 1, "yes", "read", {}, undefined, null]) {
			const { call } = bench({ authorize: () => grant as BasketGrant });
			expect((await call("GET", "/upkeep")).status).toBe(403);
			expect((await call("POST", "/upkeep/actions/pause", {})).status).toBe(403);
		}
		const response = await bench({ authorize: () => new Response("who?", { status: 401 }) }).call("GET", "/upkeep");
		expect([response.status, await response.text()]).toEqual([401, "who?"]);
	});

	test("that throws is a fault of the server: 500, reported, and nothing is done", async () => {
		const onError = vi.fn();
		const failure = new Error("no database at db.internal");
		const { call, outbox } = bench({ authorize: () => Promise.reject(failure), onError });
		const problem = await problemOf(await call("POST", "/upkeep/actions/pause", {}));
		expect([problem["status"], JSON.stringify(problem)]).toEqual([500, expect.not.stringContaining("db.internal")]);
		expect([onError.mock.calls, (await outbox.pauses()).all]).toEqual([[[failure]], false]);
	});

	test("pages of other origins change nothing, and forms neither", async () => {
		const { call, outbox } = bench({ trustedOrigins: ["https://admin.example.com"] });
		const pause = (headers: Record<string, string>) => call("POST", "/upkeep/actions/pause", {}, headers);
		const foreign = [
			{ origin: "https://evil.example.com" },
			{ origin: "null" },
			{ "sec-fetch-site": "cross-site" },
			{ "sec-fetch-site": "same-site" },
		];
		for (const headers of foreign) expect((await pause(headers as never)).status).toBe(403);
		expect((await outbox.pauses()).all).toBe(false);
		const types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];
		for (const type of types) expect((await pause({ "content-type": type })).status).toBe(415);
		expect((await call("POST", "/upkeep/actions/pause")).status).toBe(415);
		expect((await outbox.pauses()).all).toBe(false);
		expect((await pause({ origin: "https://admin.example.com", "sec-fetch-site": "cross-site" })).status).toBe(200);
	});
});

describe("basketHandler() problems", () => {
	test("400 that names the member, for queries and bodies that do not fit, and nothing changes", async () => {
		const { call, outbox } = bench();
		await outbox.add("mail", {}, { id: "a" });
		const wrong: [method: string, path: string, body: unknown, named: RegExp][] = [
			["GET", "/upkeep/tasks?state=bogus", undefined, /"state"/],
			["GET", "/upkeep/tasks?limit=0", undefined, /"limit"/],
			["GET", "/upkeep/tasks?limit=all", undefined, /"limit"/],
			["GET", "/upkeep/tasks?limit=1e1", undefined, /"limit"/],
			["GET", "/upkeep/tasks?after=garbage", undefined, /"after"/],
			["GET", "/upkeep/tasks?lane=", undefined, /"lane"/],
			["GET", "/upkeep/tasks?stat=dead", undefined, /stat/],
			["GET", "/upkeep/tasks?__proto__=dead", undefined, /__proto__/],
			["GET", "/upkeep/tasks?source=both", undefined, /"source"/],
			["GET", "/upkeep/task", undefined, /"id"/],
			["GET", `/upkeep/task?id=${"x".repeat(10_000)}`, undefined, /"id"/],
			["GET", "/upkeep/task?id=%00", undefined, /"id"/],
			["GET", "/upkeep/task?id=a&od=b", undefined, /od/],
			["POST", "/upkeep/actions/retry", {}, /"id"/],
			["POST", "/upkeep/actions/retry?id=a", { from: "middle" }, /"from"/],
			["POST", "/upkeep/actions/retry?id=a", { from: "start" }, /"from"/],
			["POST", "/upkeep/actions/retry?id=a", { id: "b" }, /"id"/],
			["POST", "/upkeep/actions/retry?id=a", { type: "delete" }, /"type"/],
			["POST", "/upkeep/actions/retry?id=a", { ["constructor"]: 1 }, /constructor/],
			["POST", "/upkeep/actions/retry?id=a", `{"__proto__":{"type":"delete"}}`, /__proto__/],
			["POST", "/upkeep/actions/delete?id=a", { halfDone: 1 }, /"halfDone"/],
			["POST", "/upkeep/actions/retryAll", { kind: ["mail"] }, /"kind"/],
			["POST", "/upkeep/actions/pause", { kind: "" }, /"kind"/],
			["POST", "/upkeep/actions/signal?id=a", { name: 1 }, /"name"/],
			["POST", "/upkeep/actions/pause", "{", /JSON/],
			["POST", "/upkeep/actions/pause", "[]", /object/],
			["POST", "/upkeep/actions/pause", "null", /object/],
			["POST", "/upkeep/actions/pause", "", /JSON/],
		];
		for (const [method, path, body, named] of wrong) {
			const problem = await problemOf(await call(method, path, body));
			expect([path, body, problem["status"], problem["detail"]]).toEqual([
				path,
				body,
				400,
				expect.stringMatching(named),
			]);
			expect(JSON.stringify(problem).length).toBeLessThan(1_000);
		}
		expect([(await outbox.get("a"))!.state, (await outbox.pauses()).all]).toEqual(["waiting", false]);
	});

	test("404, 405 with what is allowed, and 413 before a body is read whole", async () => {
		const { call } = bench({ maxBodySize: 100 });
		const paths = [
			"/",
			"/upkeep/",
			"/upkeepx",
			"/upkeep/tasks/a",
			"/upkeep/actions",
			"/upkeep/actions/drop",
			"/upkeep/constructor",
		];
		for (const path of paths) expect((await problemOf(await call("GET", path))).status).toBe(404);
		expect((await problemOf(await call("GET", "/upkeep/task?id=none"))).status).toBe(404);
		const wrong = await call("GET", "/upkeep/actions/hold?id=a");
		expect([(await problemOf(wrong)).status, wrong.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
		expect((await problemOf(await call("DELETE", "/upkeep/task?id=a"))).status).toBe(405);
		const large = await call("POST", "/upkeep/actions/pause", { kind: "x".repeat(100) });
		expect((await problemOf(large)).status).toBe(413);
	});

	test("422 for a signal that does not fit its job, with a pointer to what is wrong", async () => {
		const { call, processor, trip } = bench();
		await processor.add(trip, "ada", { id: "t" });
		const unknown = await problemOf(await call("POST", "/upkeep/actions/signal?id=t", { name: "other" }));
		expect([unknown["status"], unknown["detail"]]).toEqual([422, expect.stringContaining('"other"')]);
		const wrong = await call("POST", "/upkeep/actions/signal?id=t", { name: "approval", value: { by: 7 } });
		expect(await problemOf(wrong)).toMatchObject({ status: 422, errors: [{ pointer: "/by" }] });
	});

	test("503 for a store that fails, and 500 for a fault, both reported and without a word of the cause", async () => {
		const failures: [Error, number][] = [
			[new StoreError("unavailable", "no route to db.internal"), 503],
			[new Error("no route to db.internal"), 500],
			[new TypeError("db.internal is not a function"), 500],
		];
		for (const [failure, status] of failures) {
			const onError = vi.fn();
			const { call, counts } = bench({ onError });
			counts.mockRejectedValue(failure);
			const problem = await problemOf(await call("GET", "/upkeep"));
			expect([problem["status"], JSON.stringify(problem)]).toEqual([
				status,
				expect.not.stringContaining("db.internal"),
			]);
			expect(onError.mock.calls).toEqual([[failure]]);
		}
	});

	test("an id that looks like HTML stays JSON", async () => {
		const { call } = bench();
		const response = await call("GET", "/upkeep/task?id=%3Cscript%3E");
		expect(await problemOf(response)).toMatchObject({ status: 404, detail: 'There is no task "<script>"' });
	});

	test("refuses options of the wrong type at the door", () => {
		const outbox = new Basket({ store: memoryStore(), tasks: {} });
		expect(() => basketHandler({})).toThrow(/outbox/);
		expect(() => basketHandler({ outbox: {} as never })).toThrow(/"outbox/);
		expect(() => basketHandler({ processor: outbox as never })).toThrow(/"processor/);
		expect(() => basketHandler({ outbox }, { authorize: true as never })).toThrow(TypeError);
		expect(() => basketHandler({ outbox }, { redact: {} as never })).toThrow(TypeError);
		expect(() => basketHandler({ outbox }, { basePath: "upkeep" })).toThrow(RangeError);
		expect(() => basketHandler({ outbox }, { maxStreams: 0 })).toThrow(RangeError);
	});
});

interface Event {
	readonly type: string;
	readonly id: string;
	readonly data: InspectionChange;
}

/** Reads a stream chunk by chunk. */
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

	/** The next event that is no comment. */
	async event(): Promise<Event> {
		for (;;) {
			const match = /^id: (\S+)\nevent: (\w+)\ndata: ([^\r\n]*)\n\n$/.exec((await this.next())!);
			if (match !== null) return { type: match[2]!, id: match[1]!, data: JSON.parse(match[3]!) };
		}
	}

	cancel(): Promise<void> {
		return this.#reader.cancel();
	}
}

describe("basketHandler() changes", () => {
	const open = async (
		handler: (request: Request) => Promise<Response>,
		headers: Record<string, string> = {},
		signal?: AbortSignal,
	) => new Client(await handler(new Request(`${origin}/upkeep/changes`, { headers, ...(signal && { signal }) })));
	/** Lets reads and streams go on, in virtual time. */
	const pass = async (clock: VirtualClock, time: number) => {
		await settle();
		await clock.advance(time);
		await settle();
	};

	test("begin with reset and the counts, and give each change soon, with the rates of this process", async () => {
		const { handler, outbox, clock, drain } = bench();
		const client = await open(handler);
		const first = client.event();
		await pass(clock, 0);
		const { type, data } = await first;
		expect([type, data.hasChanged, data.sources[0]!.counts.waiting]).toEqual(["reset", true, 0]);
		const second = client.event();
		await outbox.add("mail", {});
		await pass(clock, 500);
		expect(await second).toMatchObject({
			type: "change",
			data: { hasChanged: true, sources: [{ counts: { waiting: 1 } }, {}] },
		});
		await drain();
		const third = client.event();
		await pass(clock, 500);
		const { rates } = (await third).data;
		expect(rates!.reduce((sum, { done }) => sum + done, 0)).toBe(1);
		await client.cancel();
	});

	test("notice what other processes do within five seconds", async () => {
		const { handler, outbox, clock } = bench();
		const client = await open(handler);
		const first = client.event();
		await pass(clock, 0);
		await first;
		const next = watch(client.event());
		// Not through the basket of the handler.
		const other = vi.spyOn(outbox, "counts").mockResolvedValue({ waiting: 0, running: 0, held: 0, dead: 3, done: 0 });
		await pass(clock, 4_900);
		expect(next.state).toBe("pending");
		await pass(clock, 100);
		expect(next.value).toMatchObject({ data: { hasChanged: true, sources: [{ counts: { dead: 3 } }, {}] } });
		other.mockRestore();
		await client.cancel();
	});

	test("a slow client gets the newest one, and nothing accumulates for it", async () => {
		const { handler, outbox, clock } = bench();
		const client = await open(handler);
		const first = client.event();
		await pass(clock, 0);
		await first;
		for (let round = 0; round < 50; round++) {
			await outbox.add("mail", {});
			await pass(clock, 500);
		}
		const seen: number[] = [];
		while (seen.at(-1) !== 50) seen.push((await client.event()).data.sources[0]!.counts.waiting);
		expect(seen.length).toBeLessThan(4);
		await client.cancel();
	});

	test("a slow client is told of a change also if nothing has happened since", async () => {
		const { handler, clock, counts } = bench();
		const still = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		counts.mockResolvedValue(still);
		const client = await open(handler);
		const first = client.event();
		await pass(clock, 0);
		await first;
		// What the stream and the client have taken ahead.
		await pass(clock, 5_000);
		await pass(clock, 5_000);
		counts.mockResolvedValue({ ...still, dead: 1 });
		await pass(clock, 5_000);
		await pass(clock, 5_000);
		await pass(clock, 5_000);
		const seen: boolean[] = [];
		for (let dead = 0; dead === 0;) {
			const { data } = await client.event();
			dead = data.sources[0]!.counts.dead;
			seen.push(data.hasChanged);
		}
		expect(seen.at(-1)).toBe(true);
		expect(seen.slice(0, -1)).not.toContain(true);
		await client.cancel();
	});

	test("resume without reset if nothing was missed, and with it otherwise", async () => {
		const { handler, outbox, clock } = bench();
		const keeper = await open(handler);
		const first = keeper.event();
		await pass(clock, 0);
		const { id } = await first;
		const resumed = await open(handler, { "last-event-id": id });
		expect(await resumed.event()).toMatchObject({ type: "change", id, data: { hasChanged: false } });
		await resumed.cancel();
		await outbox.add("mail", {});
		await pass(clock, 500);
		for (const unknown of [id, "", "other-1", `${id}0`]) {
			const anew = await open(handler, { "last-event-id": unknown });
			expect(await anew.event()).toMatchObject({ type: "reset", data: { hasChanged: true } });
			await anew.cancel();
		}
		await keeper.cancel();
		const later = await open(handler, { "last-event-id": id });
		const event = later.event();
		await pass(clock, 500);
		expect((await event).type).toBe("reset");
		await later.cancel();
	});

	test("are one watch for all clients, which ends with the last one", async () => {
		const { handler, clock, counts } = bench();
		const clients = await Promise.all(Array.from({ length: 20 }, () => open(handler)));
		const firsts = clients.map((client) => client.event());
		await pass(clock, 0);
		await Promise.all(firsts);
		const before = counts.mock.calls.length;
		await pass(clock, 5_000);
		expect(counts.mock.calls.length - before).toBe(1);
		for (const client of clients) await client.cancel();
		await pass(clock, 60_000);
		expect([counts.mock.calls.length - before, clock.pending]).toEqual([1, 0]);
	});

	test("end when the client goes, after their time, and leave no listener", async () => {
		const { handler, clock } = bench({ maxStreamTime: 10_000 });
		const controller = new SpiedController();
		const gone = await open(handler, {}, controller.signal);
		await pass(clock, 0);
		controller.abort();
		await settle();
		expect([clock.pending, controller.listeners]).toEqual([0, 0]);
		await gone.cancel();
		const aged = await open(handler);
		await pass(clock, 10_000);
		const texts: string[] = [];
		for (let text = await aged.next(); text !== undefined; text = await aged.next()) texts.push(text);
		expect([texts.length < 10, clock.pending]).toEqual([true, 0]);
	});

	test("send a comment when nothing was sent for a heartbeat", async () => {
		const { handler, clock } = bench({ heartbeat: 100 });
		const client = await open(handler);
		const first = client.event();
		await pass(clock, 0);
		await first;
		const next = watch(client.next());
		await pass(clock, 100);
		expect(next.value).toBe(":\n\n");
		await client.cancel();
	});

	test("too many are 503, and HEAD opens none", async () => {
		const { handler, call, clock } = bench({ maxStreams: 2 });
		const clients = [await open(handler), await open(handler)];
		const refused = await call("GET", "/upkeep/changes");
		expect([(await problemOf(refused)).status, refused.headers.get("retry-after")]).toEqual([503, "10"]);
		for (const client of clients) await client.cancel();
		expect((await call("HEAD", "/upkeep/changes")).status).toBe(200);
		await pass(clock, 0);
		expect(clock.pending).toBe(0);
		await (await open(handler)).cancel();
	});

	test("go on after the store has failed", async () => {
		const onError = vi.fn();
		const { handler, clock, counts, outbox } = bench({ onError });
		const client = await open(handler);
		const first = client.event();
		await pass(clock, 0);
		await first;
		const failure = new StoreError("busy", "locked");
		counts.mockRejectedValueOnce(failure);
		await outbox.add("mail", {});
		const next = client.event();
		await pass(clock, 500);
		expect(onError.mock.calls).toEqual([[failure]]);
		await pass(clock, 5_000);
		expect((await next).data).toMatchObject({ hasChanged: true, sources: [{ counts: { waiting: 1 } }, {}] });
		await client.cancel();
	});
});
