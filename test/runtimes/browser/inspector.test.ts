// <upkeep-inspector> where only a real browser says: policies, layout, contrast. test/inspector has the other tests.
import { describe, expect, onTestFinished, test } from "vitest";
import axe from "axe-core";
import { Basket, memoryStore } from "../../../mod.ts";
import { inspect } from "../../../src/inspection/inspection.ts";
import { indexedDBStore } from "../../../src/stores/indexeddb/indexeddb.ts";
import type { UpkeepInspector } from "../../../src/inspector/inspector.ts";
import { FakeInspection } from "../../inspector/fake.ts";
import { Mounted } from "../../inspector/mounted.ts";

const long = "a-name-without-any-space-".repeat(12);

/** Something of everything, with long names. */
function everything(): FakeInspection {
	const now = Date.now();
	const error = { name: "FetchError", message: long, code: 503, stack: long };
	const steps = (["done", "current", "pending", "failed", "reverting", "reverted"] as const).map((state) => ({
		...{ name: `${state} ${long}`, type: "waitFor" as const, state, error: state === "failed" ? error : undefined },
		...{ until: now + 60_000, result: { value: long, isCut: false } },
	}));
	const states = ["waiting", "running", "held", "dead", "done"] as const;
	const fake = new FakeInspection([
		...states.map((state) => ({
			...{ id: `${state}-${long}`, kind: `kind-${state}`, state, lane: long, preview: long, addedAt: now - 9_000_000 },
			...{ attempts: 2, error: state === "dead" ? error : undefined, payload: { value: { long }, isCut: true } },
			...{ meta: { [long]: long }, progress: { value: 4, description: long } },
			history: [{ attempt: 1, startedAt: now - 9_000, endedAt: now, worker: long, error }],
			run: { worker: long, since: now - 5_000 },
		})),
		{
			...{ id: `order-${long}`, source: "processor", kind: "order", state: "waiting", error },
			...{ job: { direction: "backward", step: long }, steps, childrenByState: { dead: 2 } },
			history: [{ step: steps[0]!.name, isRevert: true, attempt: 1, startedAt: now, error }],
		},
	]);
	fake.sources = ["outbox", "processor"];
	fake.schedules = [
		{ id: "s", name: long, kind: "report", text: "30 2 * * * Europe/Berlin", next: now + 60_000, state: "waiting" },
		{ id: "t", name: "ping", kind: "ping", text: "30000", next: now, state: "held" },
	];
	const counts = { waiting: 9, running: 1, held: 1, dead: 1, done: 1 };
	fake.samples = [1, 2, 3].map((index) => ({ at: now - index * 60_000, counts }));
	const durations = { p50: 80, p95: 2_000, max: 3_000 };
	fake.rates = [{ at: now - 20_000, done: 50, retried: 9, failed: 1, waited: durations, took: durations }];
	return fake;
}

/** A page of its own in a frame. */
async function openFrame(width: number, source: FakeInspection): Promise<{ frame: HTMLIFrameElement; page: Mounted }> {
	const frame = document.createElement("iframe");
	// For Firefox, a document of `srcdoc` is not of the origin of its parent: `'self'` alone would allow no module.
	const policy = `default-src 'self' ${location.origin}; require-trusted-types-for 'script'`;
	const base = import.meta.url;
	frame.style.cssText = `width:${width}px;height:800px;border:0`;
	frame.srcdoc = `<!doctype html><meta http-equiv="content-security-policy" content="${policy}">
		<meta name="viewport" content="width=device-width">
		<script type="module" src="${new URL("inspector-frame.ts", base).pathname}"></script>
		<body><upkeep-inspector></upkeep-inspector>`;
	document.body.append(frame);
	onTestFinished(() => frame.remove());
	await new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
	const element = frame.contentDocument!.querySelector<UpkeepInspector>("upkeep-inspector")!;
	return { frame, page: new Mounted(source, element) };
}

/** Shows one thing after the other. */
async function* tour(page: Mounted): AsyncGenerator<string> {
	await page.until(() => expect(page.rows).toHaveLength(5));
	yield "tasks";
	for (const state of ["dead", "running"]) {
		await page.open(`${state}-${long}`);
		yield `a ${state} task`;
	}
	page.button("Delete …").click();
	await page.until(() => expect(page.root.querySelector("dialog")!.open).toBe(true));
	yield "a question";
	page.button("Back").click();
	await page.until(() => expect(page.root.querySelector("dialog")!.open).toBe(false));
	page.button("Jobs").click();
	await page.open(`order-${long}`);
	yield "a job";
	page.button("Schedules 2").click();
	await page.until(() => page.button("Run now " + long));
	yield "schedules";
	page.button("Kinds").click();
	await page.until(() => page.button("Pause order"));
	yield "kinds";
}

describe("<upkeep-inspector> in a browser", () => {
	test.each([390, 1280])("breaks no strict policy and needs no sideways scrolling at %i px", async (width) => {
		const { frame, page } = await openFrame(width, everything());
		for await (const what of tour(page)) {
			const { documentElement } = frame.contentDocument!;
			expect(documentElement.scrollWidth, what).toBeLessThanOrEqual(width);
			for (const one of page.all("button, input, select, .badge, pre, td")) {
				const { left, right } = one.getBoundingClientRect();
				const isHidden = right === left;
				expect(isHidden || (left >= 0 && right <= width), `${what}: ${one.className} ${one.textContent}`).toBe(true);
			}
		}
		expect((frame.contentWindow as unknown as { violations: string[] }).violations).toEqual([]);
	});

	test.each(["light", "dark"])("axe finds nothing in %s", async (scheme) => {
		const page = new Mounted(everything());
		page.element.style.colorScheme = scheme;
		for await (const what of tour(page)) {
			const { violations } = await axe.run(page.element, {
				runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"],
			});
			const found = violations.flatMap(({ id, nodes }) =>
				nodes.map(({ html, failureSummary }) => `${id} ${html} ${failureSummary}`)
			);
			expect(found, what).toEqual([]);
		}
		const { backgroundColor } = getComputedStyle(page.element);
		expect(backgroundColor).toBe(scheme === "dark" ? "rgb(18, 20, 24)" : "rgb(246, 247, 249)");
	});

	test("rows keep their place when others are added, and the focus is seen", async () => {
		const page = new Mounted(everything());
		await page.until(() => expect(page.rows).toHaveLength(5));
		const row = page.all(".row")[2]!;
		const before = row.getBoundingClientRect().top;
		row.focus({ focusVisible: true } as FocusOptions);
		const { tasks } = page.element.source as FakeInspection;
		(page.element.source as FakeInspection).tasks = [...tasks, { ...tasks[0]!, id: "new" }];
		(page.element.source as FakeInspection).changed();
		await page.until(() => page.button("The list has changed: show"));
		expect(row.getBoundingClientRect().top).toBe(before);
		if (row.matches(":focus-visible")) expect(getComputedStyle(row).outlineStyle).toBe("solid");
	});

	test.each(["memory", "IndexedDB"])("shows a basket of this page in %s", async (where) => {
		const database = `inspector-${crypto.randomUUID()}`;
		const isStored = where === "IndexedDB";
		const store = isStored ? indexedDBStore(database) : memoryStore();
		onTestFinished(() => void (isStored && indexedDB.deleteDatabase(database)));
		const outbox = new Basket({ store, tasks: { send: (_text: string) => {} } });
		await outbox.add("send", "hello", { id: "first" });
		const page = new Mounted(inspect({ outbox }));
		await page.showsRows("first");
		await outbox.add("send", "again", { id: "second" });
		await page.showsRows("second", "first");
		await page.open("first");
		expect(page.text).toContain("hello");
		page.button("Hold").click();
		await page.until(() => expect(page.told).toBe("Held first."));
		expect((await outbox.get("first"))!.state).toBe("held");
		await outbox.drain();
		await page.showsRows("first");
	});
});
