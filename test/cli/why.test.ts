import { describe, expect, test } from "vitest";
import { Basket, every, job, Processor, type Store } from "../../mod.ts";
import { why } from "../../src/cli/why.ts";
import type { Catalog } from "../../src/cli/terminal.ts";
import { add, catalogOf, fail, FakeTerminal, request, storeOf } from "./support.ts";

/** The reasons for a task of the basket "default", or another one. */
async function reasons(
	store: Store<never>,
	{ clock }: FakeTerminal,
	id: string,
	{ basket = "default", gate }: { basket?: string; gate?: Catalog["gate"] } = {},
) {
	const terminal = new FakeTerminal();
	const catalog = catalogOf(Object.assign(new FakeTerminal(), { clock }), store);
	const asked = request("why", { ids: [id], basket });
	expect(await why(store, asked, terminal, { ...catalog, ...gate && { gate } })).toBe(0);
	return terminal.json[0].reasons;
}

async function claim(store: Store<never>, kind: string, worker?: string) {
	const { claims } = await store.turn("default", {
		settle: [],
		claim: [{ kinds: [kind], limit: 1 }],
		lease: 30_000,
		worker,
	});
	return claims[0]!;
}

describe("why()", () => {
	test("a task is held, or its kind or everything is paused", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a" }, { id: "b" });
		await store.change("default", ["a"], "hold");
		expect(await reasons(store, terminal, "a")).toMatchObject([{
			reason: "held",
			text: `It is held: "upkeep release a" undoes that`,
		}]);
		await store.pause("default", "mail", true);
		await store.pause("default", undefined, true);
		expect(await reasons(store, terminal, "b")).toMatchObject([{ reason: "paused" }, {
			reason: "kind paused",
			text: `Its kind is paused: "upkeep resume mail" undoes that`,
		}]);
		expect((await reasons(store, terminal, "a")).length).toBe(3);
	});

	test("a task is not due, waits for its next attempt, or for its next instant", async () => {
		const terminal = new FakeTerminal();
		const { clock } = terminal;
		const store = storeOf(terminal);
		await add(store, { id: "later", delay: 90_000, kind: "sms" }, { id: "failed" });
		await fail(store, "mail", "retry", "away");
		const basket = new Basket({ store, clock, tasks: { ping: () => {} } });
		await basket.schedule("s", "ping", undefined, { every: every(3_600_000) });
		expect(await reasons(store, terminal, "later")).toMatchObject([{
			reason: "not due",
			until: 1_000_090_000,
			text: expect.stringMatching(/^It is not due before in 90 s \(/),
		}]);
		expect(await reasons(store, terminal, "failed")).toMatchObject([{
			reason: "backoff",
			until: 1_000_060_000,
			text: expect.stringMatching(/^Its next attempt is due in 60 s \(.+\); attempt 1 failed: away$/),
		}]);
		expect(await reasons(store, terminal, "schedule:s")).toMatchObject([{
			reason: "not due",
			text: expect.stringMatching(/^Its next instant comes in /),
		}]);
	});

	test("a task is behind others in its lane, and what the first of these waits for", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a", lane: "ada", delay: 60_000 }, { id: "b", lane: "ada" }, { id: "c", lane: "ada" });
		expect(await reasons(store, terminal, "c")).toMatchObject([{
			reason: "behind in lane",
			tasks: ["a", "b"],
			text: expect.stringMatching(
				/^It is behind "a", "b" in the lane "ada"\. "a" is first there, and waiting: It is not due before in 60 s/,
			),
		}]);
		await store.delete("default", ["a", "b"]);
		expect(await reasons(store, terminal, "c")).toMatchObject([{ reason: "not claimed" }]);
	});

	test("a task runs already, and who does not say so any more", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a" });
		await claim(store, "mail", "w1");
		await terminal.clock.advance(12_000);
		expect(await reasons(store, terminal, "a")).toMatchObject([{
			reason: "running",
			until: 1_000_030_000,
			text: expect.stringMatching(/^It runs on the worker "w1" since .+ \(12 s\); its lease holds for 18 s/),
		}]);
		await terminal.clock.advance(60_000);
		expect(await reasons(store, terminal, "a")).toMatchObject([{
			reason: "lease over",
			text: expect.stringMatching(/"w1".+its lease was over 42 s ago: that worker seems to have died\. /),
		}]);
	});

	test("a task waits for a place or a start of its limit", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a", limitKey: "ada" }, { id: "b", limitKey: "ada" }, { id: "c", limitKey: "" });
		await claim(store, "mail");
		const full = await reasons(store, terminal, "b", { gate: async () => ({}) });
		expect(full).toMatchObject([{
			reason: "limit",
			tasks: ["a"],
			text: expect.stringMatching(
				/^It waits for the limit with the key "ada": 1 task runs there \("a"\), and the next place/,
			),
		}]);
		const gate = async (...names: string[]) => {
			expect(names).toEqual(["default", "mail", ""]);
			return { readyAt: 1_000_005_000, shutUntil: undefined };
		};
		expect(await reasons(store, terminal, "c", { gate })).toMatchObject([{
			reason: "limit",
			until: 1_000_005_000,
			text: expect.stringMatching(/of the kind "mail": 0 tasks run there, and the next start may come in 5 s/),
		}]);
		const shut = await reasons(store, terminal, "c", { gate: async () => ({ readyAt: 1, shutUntil: 1_000_009_000 }) });
		expect(shut).toMatchObject([{ until: 1_000_009_000, text: expect.stringMatching(/held it back, until in 9 s/) }]);
		const open = await reasons(store, terminal, "b", { gate: async () => ({ readyAt: 1_000_000_000 }) });
		expect(open).toMatchObject([{ reason: "not claimed" }]);
	});

	test("a job waits for a signal, or has ended in some way", async () => {
		const terminal = new FakeTerminal();
		const { clock } = terminal;
		const store = storeOf(terminal);
		const trip = job<string>("trip").step("flight", {
			run: ({ input }) => {
				if (input === "bad") throw new Error("no seat");
			},
			attempts: 1,
		}).waitFor("approval");
		const processor = new Processor({ store, clock, jobs: [trip] });
		for (const id of ["good", "bad"]) await processor.add(trip, id, { id });
		const drained = processor.drain();
		await clock.advance(0);
		await drained;
		expect(await reasons(store, terminal, "good", { basket: "jobs" })).toMatchObject([{
			reason: "message",
			text: `It waits for the signal "approval"`,
		}]);
		expect(await reasons(store, terminal, "bad", { basket: "jobs" })).toMatchObject([{
			reason: "done",
			text: "It has ended: failed: no seat",
		}]);
	});

	test("a task has failed for good, or nothing keeps it back and no worker takes it", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "dead" }, { id: "a", kind: "sms", priority: 5 }, { id: "b", kind: "fax" });
		await fail(store, "mail", "dead", "no such user");
		expect(await reasons(store, terminal, "dead")).toMatchObject([{
			reason: "dead",
			text: `It has failed for good, after 1 attempt: no such user. "upkeep retry dead" starts it anew`,
		}]);
		await terminal.clock.advance(60_000);
		const [{ reason, text }] = await reasons(store, terminal, "b");
		expect(reason).toBe("not claimed");
		expect(text).toMatch(
			/^It has been due for 60 s, and nothing in the database keeps it back: no stored task shows that a worker has ever run the kind "fax"; nothing runs in this basket; 1 task of the basket is due before it\. /,
		);
		await claim(store, "sms", "w2");
		expect((await reasons(store, terminal, "b"))[0].text).toContain(
			`tasks of other kinds have begun since then; 1 task of this basket runs on "w2"`,
		);
	});

	test("prints lines for people, and fails for an id that is not there", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		await add(store, { id: "a" });
		await store.change("default", ["a"], "hold");
		const catalog = catalogOf(terminal, store);
		await why(store, request("why", { ids: ["a"] }), terminal, catalog);
		expect(terminal.printed).toEqual(["a is held", `  It is held: "upkeep release a" undoes that`]);
		const missing = why(store, request("why", { ids: ["b"] }), terminal, catalog);
		await expect(missing).rejects.toMatchObject({ code: 3 });
	});
});
