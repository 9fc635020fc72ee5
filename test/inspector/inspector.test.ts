// <upkeep-inspector> in any document, of a browser or of happy-dom. test/runtimes/browser has what needs a layout.
import { describe, expect, test, vi } from "vitest";
import { defineInspector } from "../../src/inspector/inspector.ts";
import { FakeInspection, type FakeTask } from "./fake.ts";
import { hasPages, Mounted } from "./mounted.ts";

// In a page it defines the element, which the tests below need.
test.skipIf(hasPages)("defineInspector() does nothing outside of pages (skipped in pages)", () => {
	expect(defineInspector()).toBe(undefined);
});

// Everything else needs a document, which Node, Deno, Bun and workerd do not have.
describe.skipIf(!hasPages)("<upkeep-inspector> (skipped outside of pages)", () => {
	const many = (count: number): FakeTask[] => Array.from({ length: count }, (_, index) => ({ id: `task ${index}` }));
	const hostile = `<img src=x onerror="alert(1)"><script>alert(2)</script>\u202e"'&amp;`;

	test("defineInspector() gives the same class again, and takes another name", () => {
		expect(defineInspector()).toBe(defineInspector());
		const other = defineInspector("other-inspector")!;
		expect(other).not.toBe(defineInspector());
		expect(new other().source).toBe(undefined);
	});

	test("shows counts and tasks, the newest first, and what changes", async () => {
		const fake = new FakeInspection([{ id: "a" }, { id: "b", state: "dead", error: { name: "Error", message: "no" } }]);
		const page = new Mounted(fake);
		await page.showsRows("b", "a");
		expect(page.all(".tiles b").map((one) => one.textContent)).toEqual(["2", "1", "0", "0", "1", "0"]);
		expect(page.row("b").textContent).toMatch(/dead.*b.*send.*Error: no/);
		fake.tasks = fake.tasks.slice(1);
		fake.changed();
		await page.showsRows("b");
		expect(page.text).toContain("Live");
	});

	test("filters by state, kind, lane, prefix and text, and says so if nothing fits", async () => {
		const fake = new FakeInspection([
			{ id: "a", kind: "mail" },
			{ id: "ab", kind: "sms", lane: "x", preview: "needle" },
			{ id: "b", state: "held" },
		]);
		const page = new Mounted(fake);
		await page.showsRows("b", "ab", "a");
		page.all(".tiles button")[3]!.click();
		await page.showsRows("b");
		expect(page.all("[aria-pressed=true]").map((one) => one.textContent)).toEqual(["Held1"]);
		page.all(".tiles button")[0]!.click();
		page.fill("Id begins with", "a");
		await page.showsRows("ab", "a");
		page.fill("Kind", "mail");
		await page.showsRows("a");
		page.fill("Kind", "");
		page.fill("Lane", "x");
		await page.showsRows("ab");
		page.fill("Lane", "");
		page.fill("Text", "needle");
		await page.showsRows("ab");
		page.fill("Text", "nothing");
		await page.until(() => expect(page.text).toContain("No task fits."));
	});

	test("shows everything about a task", async () => {
		const page = new Mounted(
			new FakeInspection([{
				...{ id: "a", state: "dead", attempts: 2, crashes: 1, priority: 3, lane: "x", meta: { tenant: "acme" } },
				error: { name: "FetchError", message: "no answer", code: 503, stack: "at deliver" },
				payload: { value: { to: "ada" }, isCut: true },
				progress: { value: 40, description: "of 80" },
				history: [
					{
						attempt: 1,
						startedAt: 1_000,
						endedAt: 3_100,
						worker: "w1",
						error: { name: "FetchError", message: "first" },
					},
					{ attempt: 2, startedAt: 9_000, worker: "w2" },
				],
			}]),
		);
		await page.open("a");
		for (
			const text of [
				"FetchError (503): no answer",
				"at deliver",
				`"to": "ada"`,
				"Parts are left out",
				"tenantacme",
				"Progress40 of 80",
			]
		) {
			expect(page.text).toContain(text);
		}
		const lines = page.all(".detail tr").map((line) => [...line.children].map((cell) => cell.textContent));
		expect(lines.slice(1).map(([number, , ...others]) => [number, ...others])).toEqual([
			["2", "never ended", "w2", "–"],
			["1", "2.1 s", "w1", "FetchError: first"],
		]);
	});

	test("works by keyboard: arrows between rows, into the details, Escape back to the row", async () => {
		const page = new Mounted(new FakeInspection(many(3)));
		await page.showsRows("task 2", "task 1", "task 0");
		expect(page.all(".row").map((row) => row.tabIndex)).toEqual([0, -1, -1]);
		page.row("task 2").focus();
		page.press("ArrowDown");
		page.press("ArrowDown");
		page.press("ArrowDown");
		expect(page.focused).toBe(page.row("task 0"));
		page.press("Home");
		page.press("ArrowDown");
		await page.until(() => expect(page.all(".row").map((row) => row.tabIndex)).toEqual([-1, 0, -1]));
		page.focused!.click();
		await page.until(() => expect(page.focused?.id).toBe("detail"));
		page.press("Escape");
		await page.until(() => expect(page.focused).toBe(page.row("task 1")));
		expect(page.root.getElementById("detail")).toBe(null);
	});

	test("works by keyboard: arrows between tabs", async () => {
		const page = new Mounted(new FakeInspection());
		await page.until(() => expect(page.all("[role=tab]")).toHaveLength(3));
		page.all("[role=tab]")[0]!.focus();
		page.press("ArrowLeft");
		await page.until(() => expect(page.all("[role=tab]").map((tab) => tab.tabIndex)).toEqual([-1, -1, 0]));
		expect(page.focused?.textContent).toBe("Kinds");
		expect(page.root.getElementById("panel")!.getAttribute("aria-labelledby")).toBe(page.focused!.id);
	});

	test("a change keeps the nodes, the focus and what somebody is typing", async () => {
		const fake = new FakeInspection([...many(2), { id: "a", preview: "before" }]);
		const page = new Mounted(fake);
		await page.showsRows("a", "task 1", "task 0");
		const row = page.row("a");
		const field = page.all("input")[0] as HTMLInputElement;
		field.focus();
		field.value = "typing";
		fake.change("a", { preview: "after" });
		fake.tasks = [...fake.tasks.slice(1), ...fake.tasks.slice(0, 1).map((task) => ({ ...task, id: "new" }))];
		fake.changed();
		await page.showsRows("new", "a", "task 1");
		expect(page.row("a")).toBe(row);
		expect(row.textContent).toContain("after");
		expect([page.focused, field.value]).toEqual([field, "typing"]);
	});

	test("the rows stay where they are while one has the focus", async () => {
		const fake = new FakeInspection(many(2));
		const page = new Mounted(fake);
		await page.showsRows("task 1", "task 0");
		page.row("task 0").focus();
		fake.tasks = [{ ...fake.tasks[1]!, id: "new" }];
		fake.changed();
		await page.until(() => expect(page.all(".gone")).toHaveLength(2));
		expect(page.focused).toBe(page.row("task 0"));
		page.button("The list has changed: show").click();
		await page.showsRows("new");
	});

	test("shows 100,000 tasks with few nodes, page by page", async () => {
		const page = new Mounted(new FakeInspection(many(100_000)));
		await page.until(() => expect(page.rows).toHaveLength(50));
		expect(page.all("*").length).toBeLessThan(1_500);
		expect(page.all(".tiles b")[0]!.textContent).toBe("100K");
		page.button("Next").click();
		await page.until(() => expect(page.rows[0]).toBe("task 99949"));
		expect(page.text).toContain("Page 2");
		page.button("Previous").click();
		await page.until(() => expect(page.rows[0]).toBe("task 99999"));
		expect(page.button("Previous").disabled).toBe(true);
	});

	test("offers what the source allows, does it and says so", async () => {
		const fake = new FakeInspection([{ id: "a", state: "dead" }]);
		const page = new Mounted(fake);
		await page.open("a");
		expect(page.buttons).toEqual(["Retry", "Delete …"]);
		page.button("Retry").click();
		await page.until(() => expect(page.told).toBe("Retried a."));
		expect(fake.acted).toEqual([{ type: "retry", source: "outbox", id: "a" }]);
		fake.actions = ["hold"];
		fake.changed();
		await page.until(() => expect(page.buttons).toEqual(["Hold"]));
		fake.actions = [];
		fake.changed();
		await page.until(() => expect(page.buttons).toEqual([]));
		expect(() => page.button("Pause shop")).toThrow();
	});

	test("asks before it deletes", async () => {
		const fake = new FakeInspection(many(2));
		const page = new Mounted(fake);
		await page.open("task 1");
		const dialog = page.root.querySelector("dialog")!;
		page.button("Delete …").click();
		await page.until(() => expect(dialog.open).toBe(true));
		page.button("Back").click();
		await page.until(() => expect(dialog.open).toBe(false));
		expect(fake.acted).toEqual([]);
		page.button("Delete …").click();
		await page.until(() => expect(dialog.open).toBe(true));
		page.button("Delete").click();
		await page.showsRows("task 0");
		expect([dialog.open, page.told]).toEqual([false, "Deleted task 1."]);
		expect(page.root.getElementById("detail")).toBe(null);
	});

	test("retries all dead tasks of what is shown", async () => {
		const fake = new FakeInspection([{ id: "a", state: "dead", kind: "mail" }]);
		const page = new Mounted(fake);
		await page.showsRows("a");
		page.all(".tiles button")[4]!.click();
		page.fill("Kind", "mail");
		await page.until(() => page.button("Retry all …"));
		page.button("Retry all …").click();
		await page.until(() => page.button("Retry all").click());
		await page.until(() => expect(fake.acted).toMatchObject([{ type: "retryAll", source: "outbox", kind: "mail" }]));
		await page.until(() => expect(page.told).toBe("Retried: 1 task."));
	});

	test("shows a job as its steps, and sends it a signal", async () => {
		const fake = new FakeInspection([{
			...{ id: "order", source: "processor", kind: "order", job: { direction: "forward", step: "approval" } },
			steps: [
				{ name: "charge", type: "step", state: "done", result: { value: { paid: 7 }, isCut: false } },
				{ name: "approval", type: "waitFor", state: "current" },
				{ name: "ship", type: "step", state: "pending" },
			],
			history: [{
				step: "charge",
				attempt: 1,
				startedAt: 0,
				endedAt: 80,
				error: { name: "Error", message: "declined" },
			}],
		}]);
		fake.sources = ["outbox", "processor"];
		const page = new Mounted(fake);
		await page.until(() => page.button("Jobs").click());
		await page.open("order");
		const shown = page.all(".steps > li").map((step) => step.textContent);
		expect(shown[0]).toMatch(/charge done.*attempt 1, 80 ms.*declined.*"paid": 7/s);
		expect(shown[1]).toMatch(/approval current, waits for a signal/);
		expect(shown[2]).toMatch(/ship pending/);
		page.button("Signal …").click();
		await page.until(() => expect((page.all("dialog input")[0] as HTMLInputElement).value).toBe("approval"));
		page.fill("value", "{no json");
		page.button("Send").click();
		await page.until(() => expect(page.root.querySelector("[role=alert]")!.textContent).toMatch(/JSON|property/i));
		page.fill("value", `{"ok":true}`);
		page.button("Send").click();
		await page.until(() =>
			expect(fake.acted).toEqual([{ type: "signal", id: "order", name: "approval", value: { ok: true } }])
		);
	});

	test("shows a lane in its order", async () => {
		const page = new Mounted(
			new FakeInspection([{ id: "ended", lane: "x", state: "done" }, { id: "a", lane: "x" }, { id: "other" }, {
				...{ id: "b", lane: "x", ahead: { count: 1, isMore: false, head: "a" } },
			}]),
		);
		await page.open("b");
		const lane = () => page.all(".detail .row b").map((one) => one.textContent);
		await page.until(() => expect(lane()).toEqual(["a", "b"]));
		expect(page.text).toContain("1 before it.");
		page.button("Show the whole lane").click();
		await page.showsRows("ended", "a", "b");
	});

	test("shows schedules and kinds, runs one now, pauses the other", async () => {
		const fake = new FakeInspection([{ id: "a", kind: "mail" }]);
		fake.schedules = [{ id: "s", name: "nightly", kind: "report", text: "30000", next: 0, state: "waiting" }];
		const page = new Mounted(fake);
		await page.until(() => page.button("Schedules 1").click());
		await page.until(() => page.button("Run now nightly").click());
		expect(page.text).toContain("every 30 s");
		await page.until(() => expect(fake.acted).toEqual([{ type: "runNow", source: "outbox", id: "s" }]));
		page.button("Kinds").click();
		await page.until(() => page.button("Pause mail").click());
		await page.until(() => expect(fake.acted[1]).toEqual({ type: "pause", source: "outbox", kind: "mail" }));
		fake.pauses = { all: false, kinds: ["mail"] };
		fake.changed();
		await page.until(() => page.button("Resume mail"));
	});

	test("says that there is no answer, keeps what it shows, and goes on when there is one", async () => {
		const fake = new FakeInspection(many(1));
		const page = new Mounted(fake);
		await page.showsRows("task 0");
		fake.failure = new Error("connection refused");
		fake.changed();
		await page.until(() => expect(page.root.querySelector(".link")!.textContent).toContain("connection refused"));
		expect(page.rows).toEqual(["task 0"]);
		fake.failure = undefined;
		fake.tasks = [];
		fake.changed();
		await page.until(() => expect(page.text).toContain("There are no tasks."));
		expect(page.root.querySelector(".link")!.textContent).toBe("Live");
	});

	test("whatever a task contains stays text", async () => {
		const failure = { name: hostile, message: hostile, stack: hostile };
		const page = new Mounted(
			new FakeInspection([{
				...{ id: hostile, kind: hostile, lane: hostile, preview: hostile, state: "dead", error: failure },
				...{ payload: { value: hostile, isCut: false }, meta: { [hostile]: hostile, __proto__: "x" } },
				history: [{ attempt: 1, startedAt: NaN, endedAt: Infinity, worker: hostile, error: failure }],
			}, { id: `${hostile} 2`, lane: hostile }]),
		);
		await page.open(hostile);
		await page.until(() => expect(page.all(".detail .row")).toHaveLength(1));
		expect(page.all("img, script")).toEqual([]);
		expect(page.all(".detail pre").map((one) => one.textContent)).toContain(hostile);
	});

	test("an object in the place of a text, as a damaged task has, is no element", async () => {
		const properties = { class: "bad", srcdoc: "<script>alert(1)</script>" };
		const bad = { tag: "iframe", properties, children: [] } as never;
		const failure = { name: bad, message: bad, stack: bad };
		const page = new Mounted(
			new FakeInspection([{
				...{
					id: "a",
					kind: bad,
					lane: bad,
					preview: bad,
					error: failure,
					run: { worker: bad, since: bad },
				},
				...{ state: "running", payload: { value: bad, isCut: bad }, meta: { a: bad, b: [bad] as never } },
				history: [{ attempt: bad, startedAt: bad, endedAt: bad, worker: bad, error: failure }],
			}]),
		);
		await page.open("a");
		await page.until(() => expect(page.text).toContain("iframe"));
		expect(page.all("iframe, .bad")).toEqual([]);
	});

	test("draws the backlog, and rates and waits if the source has them", async () => {
		const fake = new FakeInspection();
		const at = Date.now();
		const counts = { waiting: 5, running: 0, held: 0, dead: 0, done: 0 };
		fake.samples = [{ at: at - 60_000, counts }, { at: at - 1_000, counts: { ...counts, waiting: 9 } }];
		const page = new Mounted(fake);
		await page.until(() => expect(page.all("svg").length).toBe(2));
		await page.until(() => expect(page.all("svg")[0]!.getAttribute("aria-label")).toMatch(/^Backlog.*Now: \d+$/));
		expect(page.all("svg path.running")[0]!.getAttribute("d")).toMatch(/^M[\d.]+ [\d.]+L/);
		fake.rates = [{ at: at - 20_000, done: 50, retried: 10, failed: 0, waited: { p50: 80, p95: 2_000 }, took: {} }];
		fake.changed();
		await page.until(() => expect(page.text).toContain("5 done, 1 failed /s"));
		expect(page.text).toContain("p50 80 ms, p95 2.0 s");
	});

	test("times go on without a change", async () => {
		vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "Date"] });
		try {
			const page = new Mounted(new FakeInspection([{ id: "a", addedAt: Date.now() - 2_000 }]));
			await page.showsRows("a");
			expect(page.row("a").textContent).toContain("2 s ago");
			const time = page.row("a").querySelector("time")!;
			vi.advanceTimersByTime(3_000);
			expect(time.textContent).toBe("5 s ago");
		} finally {
			vi.useRealTimers();
		}
	});

	test("watches while it is in the page", async () => {
		const [first, second] = [new FakeInspection(many(1)), new FakeInspection([{ id: "other" }])];
		const page = new Mounted(first);
		await page.showsRows("task 0");
		page.element.source = second;
		await page.showsRows("other");
		expect([first.watchers, second.watchers]).toEqual([0, 1]);
		page.element.remove();
		expect(second.watchers).toBe(0);
		document.body.append(page.element);
		await page.showsRows("other");
		expect(second.watchers).toBe(1);
	});
});
