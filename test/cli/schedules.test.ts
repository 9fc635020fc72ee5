import { describe, expect, test } from "vitest";
import { Basket, every, type Store } from "../../mod.ts";
import { cron } from "../../src/cron/cron.ts";
import { list } from "../../src/cli/list.ts";
import { schedules } from "../../src/cli/schedules.ts";
import { show } from "../../src/cli/show.ts";
import { widthOf } from "../../src/cli/text.ts";
import { add, FakeTerminal, request, storeOf } from "./support.ts";

const now = 1_000_000_000;

/** Creates an interval with a payload, a cron pattern, a task, and a task whose id looks like a schedule. */
async function withSchedules(terminal: FakeTerminal): Promise<Store<never>> {
	const store = storeOf(terminal);
	const { clock } = terminal;
	const basket = new Basket({ store, clock, tasks: { mail: (_: { to: string }) => {}, clean: () => {} } });
	await basket.schedule("digest", "mail", { to: "ada" }, { every: every(90_000) });
	await basket.schedule("nightly", "clean", undefined, { every: cron("0 0 * * *", { timeZone: "UTC" }) });
	await basket.hold("schedule:nightly");
	await add(store, { id: "a" }, { id: "schedule:none" });
	return store;
}

describe("schedules()", () => {
	test("gives programs one object per schedule, with the payload of its ticks", async () => {
		const terminal = new FakeTerminal();
		const store = await withSchedules(terminal);
		expect(await schedules(store, request("schedules"), terminal)).toBe(0);
		expect(terminal.json).toMatchObject([
			{ id: "schedule:digest", schedule: { text: "90000", next: now + 90_000 }, payload: { to: "ada" } },
			{ id: "schedule:nightly", state: "held", schedule: { text: "CRON_TZ=UTC 0 0 * * *", next: 1_036_800_000 } },
		]);
		terminal.printed = [];
		await schedules(store, request("schedules", { kind: "clean" }), terminal);
		expect(terminal.json).toMatchObject([{ id: "schedule:nightly" }]);
	});

	test("shows people a table that fits, or that there is none", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = await withSchedules(terminal);
		for (let width = 1; width < 150; width++) {
			terminal.printed = [];
			terminal.columns = width;
			await schedules(store, request("schedules"), terminal);
			for (const line of terminal.printed) expect(widthOf(line)).toBeLessThanOrEqual(width);
		}
		expect(terminal.printed[1]).toMatch(
			/^schedule:digest +mail +waiting +in 90 s +\d{4}-\d\d-\d\d [\d:]+ +every 90 s$/,
		);
		expect(terminal.printed[2]).toMatch(
			/^schedule:nightly +clean +held +\d{4}-\d\d-\d\d [\d:]+ +CRON_TZ=UTC 0 0 \* \* \*$/,
		);
		await schedules(store, request("schedules", { basket: "other" }), terminal);
		expect(terminal.notes).toEqual([`No schedules in the basket "other"`]);
	});
});

test("list() and show() show the schedule and the payload of its ticks, not what is stored around it", async () => {
	const [terminal, pipe] = [new FakeTerminal({ isTable: true }), new FakeTerminal()];
	terminal.columns = 150;
	const store = await withSchedules(terminal);
	await list(store, request("ls"), terminal);
	expect(terminal.printed[1]).toMatch(/ every 90 s \{"to":"ada"\}$/);
	terminal.printed = [];
	await show(store, request("show", { ids: ["schedule:digest"] }), terminal);
	const text = terminal.printed.join("\n");
	expect(text).toMatch(/schedule +every 90 s\n +instant +in 90 s \(.+\)[^]+Payload\n {2}\{\n {4}"to": "ada"\n {2}\}/);
	await show(store, request("show", { ids: ["schedule:digest"] }), pipe);
	expect(pipe.json).toMatchObject([{ schedule: { text: "90000", next: now + 90_000 }, payload: { to: "ada" } }]);
});

test.each(["\u0001{", "\u0001{}", `\u0001{"text":"1","due":2}`, `\u0001{"text":"1","due":2,"payload":["%"]}`])(
	"list(), schedules() and show() bear a damaged schedule",
	async (payload) => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		await add(store, { id: "schedule:a", payload });
		for (const command of [list, schedules]) await command(store, request("ls"), terminal);
		await show(store, request("show", { ids: ["schedule:a"] }), terminal);
		expect(terminal.printed.join("\n")).not.toMatch(/\p{Cc}(?<!\n)/u);
	},
);
