import { describe, expect, test } from "vitest";
import type { Store } from "../../mod.ts";
import { counts } from "../../src/cli/list.ts";
import { pause } from "../../src/cli/pause.ts";
import { add, FakeTerminal, request, storeOf } from "./support.ts";

async function claimed(store: Store<never>, ...kinds: string[]): Promise<string[]> {
	const { claims } = await store.turn("default", { settle: [], claim: [{ kinds, limit: 10 }], lease: 30_000 });
	return claims.map(({ id }) => id);
}

describe("pause()", () => {
	test("pauses a kind for all processes, and resumes it; a repetition is no failure", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a" }, { id: "b", kind: "sms" });
		const pauses = { all: false, kinds: ["mail"] };
		for (const changed of [true, false]) {
			expect(await pause(store, request("pause", { kind: "mail" }), terminal)).toBe(0);
			expect(terminal.json.at(-1)).toEqual({ kind: "mail", paused: true, changed, pauses });
		}
		expect(await claimed(store, "mail", "sms")).toEqual(["b"]);
		for (const changed of [true, false]) {
			expect(await pause(store, request("resume", { kind: "mail" }), terminal)).toBe(0);
			expect(terminal.json.at(-1)).toEqual({ kind: "mail", paused: false, changed, pauses: { all: false, kinds: [] } });
		}
		expect([await claimed(store, "mail"), terminal.notes]).toEqual([["a"], []]);
	});

	test("pauses all kinds without one, independently of single kinds", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		await add(store, { id: "a" });
		await pause(store, request("pause"), terminal);
		await pause(store, request("pause", { kind: "mail" }), terminal);
		await pause(store, request("resume", { kind: "mail" }), terminal);
		expect(terminal.notes).toEqual(["All kinds are still paused; resume without a kind undoes that"]);
		expect(await claimed(store, "mail")).toEqual([]);
		await pause(store, request("pause", { kind: "mail" }), terminal);
		await pause(store, request("resume"), terminal);
		expect(terminal.notes.slice(1)).toEqual([`Still paused by themselves: "mail"`]);
		await pause(store, request("resume"), terminal);
		await pause(store, request("pause", { kind: "mail" }), terminal);
		expect(terminal.printed).toEqual([
			...["All kinds are paused", `The kind "mail" is paused`, `The kind "mail" is resumed`],
			...[`The kind "mail" is paused`, "All kinds are resumed", "All kinds were not paused"],
			`The kind "mail" was paused already`,
		]);
		expect(await store.pauses("default")).toEqual({ all: false, kinds: ["mail"] });
	});

	test("says that no task of the kind is there, because a misspelled one stops nothing", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a" });
		await pause(store, request("pause", { kind: "mial\x1b" }), terminal);
		await pause(store, request("pause", { basket: "misspelt" }), terminal);
		expect(terminal.notes).toEqual([
			String.raw`There is no task of the kind "mial\u001b" in the basket "default" now; the pause holds for later ones`,
			`There is no task in the basket "misspelt" now; the pause holds for later ones`,
		]);
	});
});

test("counts() shows what is paused", async () => {
	const [pipe, table] = [new FakeTerminal(), new FakeTerminal({ isTable: true })];
	const store = storeOf(pipe);
	await add(store, {});
	await counts(store, request("counts"), table);
	expect(table.printed).toHaveLength(6);
	await store.pause("default", undefined, true);
	for (const kind of ["sms", "evil\x1b[2J"]) await store.pause("default", kind, true);
	await counts(store, request("counts"), pipe);
	await counts(store, request("counts"), table);
	expect(pipe.json).toMatchObject([{ waiting: 1, pauses: { all: true, kinds: ["evil\x1b[2J", "sms"] } }]);
	expect(table.printed.slice(-2)).toEqual(["All kinds are paused", String.raw`Paused: "evil\u001b[2J", "sms"`]);
});
