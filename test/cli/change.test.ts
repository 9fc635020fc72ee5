import { describe, expect, test } from "vitest";
import { job, Processor, stopNow, type Store } from "../../mod.ts";
import { change } from "../../src/cli/change.ts";
import { add, fail, FakeTerminal, request, storeOf } from "./support.ts";

const everyDead = { isAll: true, state: "dead" } as const;

async function withDead(terminal: FakeTerminal, number: number): Promise<Store<never>> {
	const store = storeOf(terminal);
	await add(store, ...Array.from({ length: number }, (_, index) => ({ id: `d${index}` })), {
		id: "other",
		kind: "sms",
	});
	await fail(store, "mail", "dead");
	return store;
}

async function statesOf(store: Store<never>, ids: readonly string[]): Promise<unknown[]> {
	return await Promise.all(ids.map(async (id) => (await store.get("default", id))?.state));
}

describe("change() of ids", () => {
	test("says of each what has become of it, and fails with 3 for one that is not there", async () => {
		const terminal = new FakeTerminal();
		const store = await withDead(terminal, 3);
		const ids = ["d0", "none", "d1", "d0"];
		expect(await change(store, request("retry", { ids }), terminal)).toBe(3);
		expect(terminal.json).toEqual([
			{ id: "d0", retried: true },
			{ id: "none", retried: false, reason: `There is no task "none" in the basket "default"` },
			{ id: "d1", retried: true },
		]);
		expect(await statesOf(store, ["d0", "d1", "d2"])).toEqual(["waiting", "waiting", "dead"]);
	});

	test("fails with 1 for one to which that does not apply", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = await withDead(terminal, 1);
		expect(await change(store, request("hold", { ids: ["d0", "other"] }), terminal)).toBe(1);
		expect(terminal.notes).toEqual([`The task "d0" is dead: only waiting and running ones can be held`]);
		expect(terminal.printed).toEqual([`"other" is held`]);
		expect(await change(store, request("release", { ids: ["other"] }), terminal)).toBe(0);
		expect(await statesOf(store, ["d0", "other"])).toEqual(["dead", "waiting"]);
	});

	test("removes", async () => {
		const terminal = new FakeTerminal();
		const store = await withDead(terminal, 2);
		expect(await change(store, request("rm", { ids: ["d1", "other"] }), terminal)).toBe(0);
		expect(await statesOf(store, ["d0", "d1", "other"])).toEqual(["dead", undefined, undefined]);
	});
});

describe("change() to retry jobs from somewhere", () => {
	test("lets a failed job go on, any ended one begin anew, and says why not", async () => {
		const terminal = new FakeTerminal();
		const { clock } = terminal;
		const store = storeOf(terminal);
		let isBroken = true;
		const trip = job<string>("trip").step("flight", { run: ({ input }) => input }).step("hotel", {
			run: () => {
				if (isBroken) throw new Error("full");
			},
		});
		const processor = new Processor({ store, clock, jobs: [trip], name: "default" });
		const drain = async () => {
			const drained = processor.drain();
			await clock.advance(0);
			await drained;
		};
		await processor.add(trip, "Rome", { id: "trip" });
		await drain();
		isBroken = false;
		await add(store, { id: "mail" });
		const ids = ["trip", "mail", "none"];
		expect(await change(store, request("retry", { ids, from: "failure" }), terminal)).toBe(3);
		expect(terminal.json).toEqual([
			{ id: "trip", retried: true },
			{ id: "mail", retried: false, reason: `The task "mail" is no job that can be read: --from is for these` },
			{ id: "none", retried: false, reason: `There is no task "none" in the basket "default"` },
		]);
		const retry = async (from: "failure" | "start") => {
			terminal.printed = [];
			await change(store, request("retry", { ids: ["trip"], from }), terminal);
			return terminal.json[0].reason;
		};
		expect(await retry("start")).toBe(`The job "trip" is waiting: only jobs that have ended begin again`);
		await drain();
		expect(await processor.result("trip")).toMatchObject({ status: "completed", results: { flight: "Rome" } });
		expect(await retry("failure")).toBe(`The job "trip" is completed, without a failure`);
		expect(await retry("start")).toBe(undefined);
		expect(await processor.get("trip")).toMatchObject({
			status: "waiting",
			step: "flight",
			results: {},
			input: "Rome",
		});
		await drain();
		expect((await processor.result("trip"))?.status).toBe("completed");
	});
});

describe("change() to remove jobs", () => {
	/** Creates a job with one completed step, a job that has not begun, and a completed job. */
	async function withJobs(terminal: FakeTerminal): Promise<Store<never>> {
		const { clock } = terminal;
		const store = storeOf(terminal);
		const trip = job<string>("trip").step("flight", { run: () => "1A", revert: () => {} }).waitFor("approval");
		const processor = new Processor({ store, clock, jobs: [trip] });
		await processor.add(trip, "", { id: "half" });
		await processor.add(trip, "", { id: "whole" });
		await processor.signal("whole", "approval", true);
		const drained = processor.drain();
		await clock.advance(0);
		await drained;
		await processor.add(trip, "", { id: "new" });
		return store;
	}
	const ids = ["new", "half", "whole"];
	const left = async (store: Store<never>) => (await store.list("jobs", { limit: 9 })).map(({ id }) => id).sort();

	test("leaves one that is half done where nobody can be asked, unless --half-done is given", async () => {
		const terminal = new FakeTerminal();
		const store = await withJobs(terminal);
		expect(await change(store, request("rm", { basket: "jobs", ids }), terminal)).toBe(1);
		const reason = `The job "half" is half done, and removing it reverts nothing: --half-done removes it`;
		expect(terminal.json).toEqual([
			{ id: "new", removed: true },
			{ id: "half", removed: false, reason },
			{ id: "whole", removed: true },
		]);
		expect(await left(store)).toEqual(["half"]);
		const removing = request("rm", { basket: "jobs", ids: ["half"], takesHalfDone: true });
		expect(await change(store, removing, terminal)).toBe(0);
		expect(await left(store)).toEqual([]);
	});

	test.each(["{", `{"at":1}`, `{"at":0,"isRevert":true}`])(
		"leaves one whose log does not fit its head, as when it has gone on meanwhile: %s",
		async (entry) => {
			const terminal = new FakeTerminal();
			const store = await withJobs(terminal);
			const { claims } = await store.turn("jobs", {
				settle: [],
				claim: [{ kinds: ["trip"], limit: 1 }],
				lease: 30_000,
			});
			expect(claims.map(({ id }) => id)).toEqual(["new"]);
			const settle = [{ ref: claims[0]!, outcome: { type: "release" }, log: { after: 0, entries: [entry] } }] as const;
			await store.turn("jobs", { settle, claim: [], lease: 30_000 });
			expect(await change(store, request("rm", { basket: "jobs", ids: ["new"] }), terminal)).toBe(1);
			expect(await left(store)).toEqual(["half", "new", "whole"]);
		},
	);

	test.each([["no", 1, ["half"]], ["y", 0, []]] as const)("asks: %s", async (answer, code, expected) => {
		const terminal = new FakeTerminal({ isTable: true, canAsk: true });
		const store = await withJobs(terminal);
		terminal.answer = answer;
		expect(await change(store, request("rm", { basket: "jobs", ids }), terminal)).toBe(code);
		expect(terminal.questions).toEqual([
			"1 job of them is half done, and nothing would be reverted. Remove all the same? [y/N] ",
		]);
		expect(terminal.printed.slice(0, 2)).toEqual([
			expect.stringMatching(/^ID /),
			expect.stringMatching(/^half .* at approval \(2 of 2\)$/),
		]);
		expect(await left(store)).toEqual(expected);
	});

	test("of all leaves those that are half done, however sure its user is", async () => {
		const terminal = new FakeTerminal();
		const store = await withJobs(terminal);
		const waiting = { basket: "jobs", isAll: true, state: "waiting", isSure: true } as const;
		expect(await change(store, request("rm", waiting), terminal)).toBe(1);
		expect(terminal.json).toEqual([{ found: 2, removed: 1, halfDone: 1 }]);
		expect(await left(store)).toEqual(["half", "whole"]);
		expect(await change(store, request("rm", { ...waiting, takesHalfDone: true }), terminal)).toBe(0);
		expect(terminal.json.at(-1)).toEqual({ found: 1, removed: 1 });
		expect(await left(store)).toEqual(["whole"]);
	});

	test.each([["no", 1, ["half", "whole"]], ["yes", 0, ["whole"]]] as const)(
		"of all asks a second time: %s",
		async (answer, code, expected) => {
			const terminal = new FakeTerminal({ isTable: true, canAsk: true });
			const store = await withJobs(terminal);
			terminal.answer = "yes";
			terminal.ask = async (question) => {
				terminal.questions.push(question);
				return terminal.questions.length === 1 ? "yes" : answer;
			};
			const waiting = { basket: "jobs", isAll: true, state: "waiting", db: "a.db" } as const;
			expect(await change(store, request("rm", waiting), terminal)).toBe(code);
			expect(terminal.questions).toEqual([
				`rm 2 tasks of the basket "jobs" in "a.db"? [y/N] `,
				"1 job of them is half done, and nothing would be reverted. Remove all the same? [y/N] ",
			]);
			expect(await left(store)).toEqual(expected);
		},
	);

	test("leaves one that has begun since it was asked", async () => {
		const terminal = new FakeTerminal({ isTable: true, canAsk: true });
		const store = await withJobs(terminal);
		const trip = job<string>("trip").step("flight", { run: () => "1A", revert: () => {} }).waitFor("approval");
		const { clock } = terminal;
		await store.delete("jobs", ["half"]);
		terminal.ask = async () => {
			const processor = new Processor({ store, clock, jobs: [trip] });
			const drained = processor.drain();
			await clock.advance(0);
			await drained;
			return "y";
		};
		const waiting = { basket: "jobs", isAll: true, state: "waiting" } as const;
		expect(await change(store, request("rm", waiting), terminal)).toBe(1);
		expect(await left(store)).toEqual(["new", "whole"]);
	});
});

describe("change() of all", () => {
	test("does nothing where nobody can be asked and nobody is sure", async () => {
		const terminal = new FakeTerminal();
		const store = await withDead(terminal, 3);
		await expect(change(store, request("rm", everyDead), terminal)).rejects.toMatchObject({ code: 2 });
		expect((await store.counts("default")).dead).toBe(3);
	});

	test("shows how many and which before it asks, and takes anything but yes for no", async () => {
		const terminal = new FakeTerminal({ isTable: true, canAsk: true });
		const store = await withDead(terminal, 1_234);
		const all = { ...everyDead, db: "tasks.db" };
		terminal.answer = "yes please";
		await expect(change(store, request("rm", all), terminal)).rejects.toMatchObject({
			code: 1,
			message: "Nothing was removed",
		});
		expect(terminal.questions).toEqual([`rm 1,234 tasks of the basket "default" in "tasks.db"? [y/N] `]);
		expect(terminal.printed).toHaveLength(12);
		expect(terminal.printed[10]).toMatch(/^d9 /);
		expect(terminal.printed[11]).toBe("… and 1,224 more");
		expect((await store.counts("default")).dead).toBe(1_234);
		terminal.answer = " Y ";
		expect(await change(store, request("rm", all), terminal)).toBe(0);
		expect(terminal.printed.at(-1)).toBe("1,234 tasks removed");
		expect(await store.counts("default")).toMatchObject({ dead: 0, waiting: 1 });
	});

	test("names a server without user and password", async () => {
		const terminal = new FakeTerminal({ isTable: true, canAsk: true });
		const store = await withDead(terminal, 1);
		const removing = request("rm", { ...everyDead, db: "postgres://ada:secret@db.example:5433/shop?sslmode=require" });
		await expect(change(store, removing, terminal)).rejects.toMatchObject({ code: 1 });
		expect(terminal.questions).toEqual([`rm 1 task of the basket "default" in "db.example:5433/shop"? [y/N] `]);
	});

	test("hits only the kind", async () => {
		const terminal = new FakeTerminal();
		const store = await withDead(terminal, 3);
		await fail(store, "sms", "dead");
		expect(await change(store, request("retry", { ...everyDead, kind: "sms", isSure: true }), terminal)).toBe(0);
		expect(terminal.json).toEqual([{ found: 1, retried: 1 }]);
		expect(await statesOf(store, ["d0", "d2", "other"])).toEqual(["dead", "dead", "waiting"]);
	});

	test("hits only the lane and the beginning of ids", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a-1", lane: "ada" }, { id: "a-2" }, { id: "b-1", lane: "bob" });
		const waiting = { isAll: true, isSure: true, state: "waiting" } as const;
		expect(await change(store, request("hold", { ...waiting, lane: "ada" }), terminal)).toBe(0);
		expect(await statesOf(store, ["a-1", "a-2", "b-1"])).toEqual(["held", "waiting", "waiting"]);
		expect(await change(store, request("hold", { ...waiting, prefix: "b-" }), terminal)).toBe(0);
		expect(await statesOf(store, ["a-1", "a-2", "b-1"])).toEqual(["held", "waiting", "held"]);
	});

	test("retries each task once, also if it is dead again before the last one was retried", async () => {
		const terminal = new FakeTerminal();
		const store = await withDead(terminal, 700);
		let calls = 0;
		const killing = new Proxy(store, {
			get: (target, name: keyof Store<never>) =>
				name !== "change" ? target[name] : async (basket: string, ids: readonly string[]) => {
					calls += ids.length;
					const applied = await target.change(basket, ids, "retry");
					await fail(store, "mail", "dead");
					return applied;
				},
		});
		expect(await change(killing, request("retry", { ...everyDead, isSure: true }), terminal)).toBe(0);
		expect(calls).toBe(700);
		expect(terminal.json).toEqual([{ found: 700, retried: 700 }]);
	});

	test("ends between two batches when it is interrupted, and says how far it came", async () => {
		const terminal = new FakeTerminal();
		const store = await withDead(terminal, 300);
		const closing = new Proxy(store, {
			get: (target, name: keyof Store<never>) => {
				if (name === "delete") terminal.close();
				return target[name];
			},
		});
		const removing = change(closing, request("rm", { ...everyDead, isSure: true }), terminal);
		await expect(removing).rejects.toMatchObject({ code: 1, message: "Interrupted: 250 tasks of 300 removed" });
		expect((await store.counts("default")).dead).toBe(50);
	});
});

test("change() resumes all jobs that have failed, and no others", async () => {
	const terminal = new FakeTerminal();
	const { clock } = terminal;
	const store = storeOf(terminal);
	let isUp = false;
	const trip = job<boolean>("trip").step("flight", { run: () => "1A" }).step("hotel", {
		run: ({ input }) => {
			if (input && !isUp) throw stopNow(new Error("no room"));
		},
	});
	const processor = new Processor({ store, clock, jobs: [trip] });
	for (const id of ["bad1", "good", "bad2"]) await processor.add(trip, id !== "good", { id });
	const drain = async () => {
		const drained = processor.drain();
		await clock.advance(0);
		await drained;
	};
	await drain();
	const outcome = (await processor.result("bad1"))!.status as "reverted" | "failed";
	expect(outcome).not.toBe("completed");
	isUp = true;
	const all = { basket: "jobs", isAll: true, isSure: true, outcome, from: "failure" } as const;
	expect(await change(store, request("retry", all), terminal)).toBe(0);
	expect(terminal.json).toEqual([{ found: 2, retried: 2 }]);
	await drain();
	for (const id of ["bad1", "good", "bad2"]) expect((await processor.result(id))?.status).toBe("completed");
	expect(await change(store, request("retry", all), terminal)).toBe(3);
	expect(terminal.json.at(-1)).toEqual({ found: 0, retried: 0 });
});

describe("change() to clear", () => {
	const clearing = { isAll: true } as const;

	test("removes what the options select, in any state, and says how many", async () => {
		const terminal = new FakeTerminal();
		const store = await withDead(terminal, 300);
		await add(store, { id: "new" });
		const selected = request("clear", { ...clearing, isSure: true, kind: "mail", prefix: "d2" });
		expect(await change(store, selected, terminal)).toBe(0);
		expect(terminal.json).toEqual([{ found: 111, removed: 111 }]);
		expect(await statesOf(store, ["d2", "d1", "new"])).toEqual([undefined, "dead", "waiting"]);
		expect(await change(store, request("clear", { ...clearing, isSure: true }), terminal)).toBe(0);
		expect(terminal.json.at(-1)).toEqual({ found: 191, removed: 191 });
		expect(await store.list("default", { limit: 1 })).toEqual([]);
	});

	test("asks, and does nothing where nobody can be asked and nobody is sure", async () => {
		const [pipe, terminal] = [new FakeTerminal(), new FakeTerminal({ isTable: true, canAsk: true })];
		const store = await withDead(terminal, 3);
		const selected = request("clear", { ...clearing, state: "dead", db: "tasks.db" });
		await expect(change(store, selected, pipe)).rejects.toMatchObject({
			code: 2,
			message: "clear needs --yes without a terminal",
		});
		terminal.answer = "no";
		await expect(change(store, selected, terminal)).rejects.toMatchObject({ code: 1, message: "Nothing was removed" });
		expect((await store.counts("default")).dead).toBe(3);
		terminal.answer = "y";
		expect(await change(store, selected, terminal)).toBe(0);
		expect(terminal.questions.at(-1)).toBe(`clear 3 tasks of the basket "default" in "tasks.db"? [y/N] `);
		expect(terminal.printed.at(-1)).toBe("3 tasks removed");
	});

	test("leaves jobs that are half done, unless --half-done is given", async () => {
		const terminal = new FakeTerminal();
		const { clock } = terminal;
		const store = storeOf(terminal);
		const trip = job<string>("trip").step("flight", { run: () => "1A", revert: () => {} }).waitFor("approval");
		const processor = new Processor({ store, clock, jobs: [trip] });
		await processor.add(trip, "", { id: "half" });
		const drained = processor.drain();
		await clock.advance(0);
		await drained;
		await processor.add(trip, "", { id: "new" });
		const all = { ...clearing, basket: "jobs", kind: "trip", isSure: true };
		expect(await change(store, request("clear", all), terminal)).toBe(1);
		expect(terminal.json).toEqual([{ found: 2, removed: 1, halfDone: 1 }]);
		expect(await change(store, request("clear", { ...all, takesHalfDone: true }), terminal)).toBe(0);
		expect(terminal.json.at(-1)).toEqual({ found: 1, removed: 1 });
	});
});
