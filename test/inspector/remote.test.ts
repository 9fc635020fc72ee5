import { describe, expect, onTestFinished, test } from "vitest";
import { Basket, memoryStore } from "../../mod.ts";
import { basketHandler, type BasketHandlerOptions } from "../../src/http/http.ts";
import { inspect, type Inspection, type InspectionChange } from "../../src/inspection/inspection.ts";
import { remoteInspection } from "../../src/inspector/remote.ts";

class Server {
	readonly outbox = new Basket({ store: memoryStore(), tasks: { send: (_text: string) => {} } });
	readonly requests: Request[] = [];
	readonly inspection: Inspection;
	/** Answers instead of the handler. */
	instead: (() => Promise<Response>) | undefined;
	/** Breaks the streams that are open. */
	break = () => {};

	constructor(options: BasketHandlerOptions = { authorize: () => "all" }, timeout?: number) {
		const handler = basketHandler({ outbox: this.outbox }, options);
		const fetch = async (request: Request): Promise<Response> => {
			this.requests.push(request);
			if (this.instead !== undefined) return await this.instead();
			const connection = new AbortController();
			this.break = () => connection.abort(new TypeError("The connection is broken"));
			request.signal.addEventListener("abort", () => connection.abort(request.signal.reason));
			const { body, status, headers } = await handler(new Request(request, { signal: connection.signal }));
			return new Response(body, { status, headers });
		};
		this.inspection = remoteInspection("http://localhost/upkeep", { fetch, timeout });
	}

	/** Watches until the end of the test. */
	watch(): { changes: InspectionChange[]; errors: unknown[]; end: () => void } {
		const [changes, errors] = [[] as InspectionChange[], [] as unknown[]];
		const end = this.inspection.watch((change) => changes.push(change), (error) => errors.push(error));
		onTestFinished(end);
		return { changes, errors, end };
	}
}

const hostile = `a/b?c=d&e#f%00 "../..\u0007😀`;

/** Resolves when `check` passes. */
async function until(check: () => void): Promise<void> {
	for (const end = Date.now() + 10_000;;) {
		try {
			return check();
		} catch (error) {
			if (Date.now() > end) throw error;
			await new Promise((resolve) => setTimeout(resolve, 10));
		}
	}
}

describe("remoteInspection()", () => {
	test("gives what an inspection in the process of the server gives", async () => {
		const { outbox, inspection } = new Server();
		const local = inspect({ outbox });
		for (const id of ["a", "b", hostile]) await outbox.add("send", "hello", { id });
		expect((await inspection.overview()).sources).toMatchObject((await local.overview()).sources);
		expect((await inspection.overview()).actions).toContain("delete");
		const query = { state: "waiting", kind: "send", order: "oldest", limit: 2 } as const;
		const page = await inspection.list(query);
		expect(page).toEqual(JSON.parse(JSON.stringify(await local.list(query))));
		expect((await inspection.list({ ...query, after: page.next })).items.map(({ id }) => id)).toEqual([hostile]);
		expect(await inspection.get(hostile)).toEqual(JSON.parse(JSON.stringify(await local.get(hostile))));
		expect(await inspection.get("nothing")).toBe(undefined);
	});

	test("changes what the server allows", async () => {
		const { outbox, inspection } = new Server({ authorize: () => ["hold"] });
		await outbox.add("send", "hello", { id: hostile });
		expect((await inspection.overview()).actions).toEqual(["hold"]);
		expect(await inspection.act({ type: "hold", source: "outbox", id: hostile })).toEqual({ changed: 1 });
		expect((await outbox.get(hostile))!.state).toBe("held");
		await expect(inspection.act({ type: "delete", id: hostile })).rejects.toMatchObject({
			message: "This is not allowed",
		});
		expect(await outbox.get(hostile)).toBeDefined();
	});

	test("rejects with what the server answers", async () => {
		const server = new Server();
		await expect(server.inspection.list({ limit: 1_000 })).rejects.toMatchObject({
			message: expect.stringContaining(`"limit"`),
			status: 400,
		});
		server.instead = () => Promise.resolve(new Response("<h1>Bad Gateway</h1>", { status: 502 }));
		await expect(server.inspection.overview()).rejects.toMatchObject({ message: "The server has answered 502" });
		await expect(server.inspection.get("a")).rejects.toMatchObject({ message: "The server has answered 502" });
	});

	test("watches, over a connection that breaks, until it is ended", async () => {
		const server = new Server();
		const { changes, errors, end } = server.watch();
		await until(() => expect(changes.length).toBeGreaterThan(0));
		expect(changes[0]!.sources[0]!.counts.waiting).toBe(0);
		await server.outbox.add("send", "hello");
		await until(() => expect(changes.at(-1)!.sources[0]!.counts.waiting).toBe(1));
		server.instead = () => Promise.reject(new TypeError("Connection refused"));
		server.break();
		await until(() => expect(errors).toContainEqual(new TypeError("Connection refused")));
		server.instead = undefined;
		await server.outbox.add("send", "hello");
		await until(() => expect(changes.at(-1)!.sources[0]!.counts.waiting).toBe(2));
		expect(server.requests.at(-1)!.headers.get("last-event-id")).toMatch(/./);
		end();
		end();
		const count = server.requests.length;
		await server.outbox.add("send", "hello");
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect([server.requests.length, changes.at(-1)!.sources[0]!.counts.waiting]).toEqual([count, 2]);
	});

	test("tells that a server has fallen silent", async () => {
		const server = new Server(undefined, 20);
		server.instead = () => Promise.resolve(new Response(new ReadableStream({ pull: () => new Promise(() => {}) })));
		const { changes, errors } = server.watch();
		await until(() => expect(errors.length).toBeGreaterThan(0));
		expect([String(errors[0]), changes]).toEqual(["Error: The server has fallen silent", []]);
	});

	test("an answer may arrive in any parts", async () => {
		const server = new Server();
		const change = { at: 1, hasChanged: true, sources: [], note: "ä😀" };
		const bytes = new TextEncoder().encode(`:\n\nid: 7\nevent: change\ndata: ${JSON.stringify(change)}\n\n: beat\n\n`);
		let at = 0;
		const pull = (controller: ReadableStreamDefaultController) => {
			if (at === bytes.length) return new Promise<void>(() => {});
			controller.enqueue(bytes.slice(at, ++at));
		};
		server.instead = () => Promise.resolve(new Response(new ReadableStream({ pull })));
		const { changes } = server.watch();
		await until(() => expect(changes).toEqual([change]));
	});

	test("refuses an address that is none", () => {
		expect(() => remoteInspection("http://")).toThrow(TypeError);
	});
});
