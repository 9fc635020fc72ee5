import { expect, test } from "vitest";
import { Basket } from "../../mod.ts";
import { list } from "../../src/cli/list.ts";
import { show } from "../../src/cli/show.ts";
import { FakeTerminal, request, storeOf } from "./support.ts";

test("list() and show() show collected items, not what is stored around them", async () => {
	const [terminal, pipe] = [new FakeTerminal({ isTable: true }), new FakeTerminal()];
	terminal.columns = 150;
	const store = storeOf(terminal);
	const basket = new Basket({ store, clock: terminal.clock, tasks: { track: (_: string[]) => {} } });
	// A text that begins with U+0001 is masked.
	for (const item of ["a", "\u0001b"]) await basket.add("track", item, { id: "all", ifPresent: "collect", most: 7 });
	await list(store, request("ls"), terminal);
	expect(terminal.printed[1]).toMatch(/ items, at most 7 in a run$/);
	terminal.printed = [];
	await show(store, request("show", { ids: ["all"] }), terminal);
	const text = terminal.printed.join("\n");
	expect(text).toMatch(/collects +at most 7 items in a run\n[^]+Items\n {2}\[\n {4}"a",\n/);
	expect(text).not.toMatch(/Message|"most"|u\{2\}/);
	await list(store, request("ls"), pipe);
	await show(store, request("show", { ids: ["all"] }), pipe);
	expect(pipe.json[0].payload).toBe(undefined);
	expect(pipe.json).toMatchObject([{ collects: { most: 7 } }, { collects: { most: 7 }, inbox: [] }]);
	expect(pipe.json[1].payload.length).toBe(2);
	expect(pipe.json[1].payload[0]).toBe("a");
});
