// Tasks that are added again: the newest payload runs, and never at the same time as an older one.
import { describe, expect, test } from "vitest";
import { type AddOptions, resetBackoff } from "../../mod.ts";
import { deferred, errorOf } from "../support.ts";
import { Machine, running } from "./support.ts";

const replace = { id: "doc", ifPresent: "replace" } as const;

describe("Basket.add() with ifPresent: replace", () => {
	test("sends an hour of edits as one request, after the last one", async () => {
		const machine = new Machine();
		const sent: [at: number, text: string][] = [];
		const basket = machine.basket({ save: (text: string) => void sent.push([machine.clock.now() - 1_000_000, text]) });
		const { stop } = running(basket);
		for (let edit = 0; edit < 3_600; edit++) {
			await basket.add("save", `text ${edit}`, { ...replace, delay: 2_000 });
			await machine.clock.advance(1_000);
		}
		expect(sent).toEqual([]);
		await machine.clock.advance(10_000);
		expect(sent).toEqual([[3_601_000, "text 3599"]]);
		await stop();
	});

	test("sends within the longest wait, however often it is edited", async () => {
		const machine = new Machine();
		const sent: number[] = [];
		const basket = machine.basket({ save: (edit: number) => void sent.push(edit) });
		const { stop } = running(basket);
		for (let edit = 0; edit < 120; edit++) {
			await basket.add("save", edit, { ...replace, delay: 2_000, within: 30_000 });
			await machine.clock.advance(1_000);
		}
		// Each run begins a new wait with the next edit.
		expect(sent).toEqual([29, 59, 89, 119]);
		await stop();
	});

	test("makes one attempt for an hour of offline edits when the line is back, with the newest of them", async () => {
		const machine = new Machine();
		const [sent, tried]: [string[], string[]] = [[], []];
		let isOnline = false;
		const basket = machine.basket({
			save: (text: string) => {
				tried.push(text);
				if (!isOnline) throw new Error("offline");
				sent.push(text);
			},
		}, { backoff: { start: 60_000, factor: 2, max: 3_600_000, jitter: "none" } });
		const { stop } = running(basket);
		for (let edit = 0; edit < 60; edit++) {
			await basket.add("save", `text ${edit}`, { ...replace, delay: 120_000 });
			await machine.clock.advance(60_000);
		}
		isOnline = true;
		await machine.clock.advance(3_600_000);
		expect([sent, tried]).toEqual([["text 59"], ["text 59"]]);
		await stop();
	});

	test.each([
		["done", undefined, 1],
		["failed", new Error("away"), 2],
		["reset", resetBackoff(new Error("away")), 2],
	])(
		"keeps the newest payload behind a running task that then is %s, and never runs both",
		async (_, error, attempt) => {
			const machine = new Machine();
			const runs: [text: string, attempt: number][] = [];
			const [begun, gate] = [deferred(), deferred()];
			let active = 0;
			const basket = machine.basket({
				save: async (text: string, context) => {
					runs.push([text, context.attempt]);
					expect(++active).toBe(1);
					begun.resolve();
					await gate.promise;
					active--;
					if (error !== undefined && runs.length === 1) throw error;
				},
			});
			const { stop } = running(basket);
			await basket.add("save", "first", replace);
			await machine.clock.advance(0);
			await begun.promise;
			for (const text of ["second", "third"]) {
				const added = await basket.add("save", text, replace);
				expect(added).toEqual({ id: "doc", added: true, state: "running" });
			}
			await machine.clock.advance(5_000);
			gate.resolve();
			await machine.clock.advance(10_000);
			expect(runs).toEqual([["first", 1], ["third", attempt === 1 ? 1 : 2]]);
			expect(await basket.counts()).toMatchObject({ waiting: 0, running: 0, dead: 0 });
			await stop();
		},
	);

	test("begins a dead task anew", async () => {
		const machine = new Machine();
		const runs: [text: string, attempt: number, error: unknown][] = [];
		const basket = machine.basket({
			save: (text: string, { attempt, previousError }) => {
				runs.push([text, attempt, previousError]);
				if (text === "broken") throw new Error("no");
			},
		}, { attempts: 1 });
		await basket.add("save", "broken", replace);
		await machine.drain(basket);
		expect((await basket.get("doc"))!.state).toBe("dead");
		expect(await basket.add("save", "whole", replace)).toEqual({ id: "doc", added: true, state: "dead" });
		await machine.drain(basket);
		expect(runs).toEqual([["broken", 1, undefined], ["whole", 1, undefined]]);
	});

	test("is refused for another kind or lane, and fails no other add of the same moment", async () => {
		const machine = new Machine();
		const basket = machine.basket({ save: (_: string) => {}, send: (_: string) => {} });
		await basket.add("save", "first", { ...replace, lane: "a" });
		const [other, lane, kind] = await Promise.allSettled([
			basket.add("save", "other", { id: "other" }),
			basket.add("save", "second", replace),
			basket.add("send", "second", { ...replace, lane: "a" }),
		]);
		expect(other.status).toBe("fulfilled");
		const text = (wanted: string) =>
			`The task "doc" is of the kind "save" in the lane "a", and cannot be replaced by one of the kind ${wanted}`;
		expect((lane as PromiseRejectedResult).reason).toEqual(new TypeError(text(`"save" without a lane`)));
		expect((kind as PromiseRejectedResult).reason).toEqual(new TypeError(text(`"send" in the lane "a"`)));
		expect((await basket.get("doc"))!.payload).toBe("first");
	});

	test.each<[AddOptions, string]>([
		[{ ifPresent: "replace" }, `"id" must be the id of the task to replace`],
		[{ id: "a", ifPresent: "other" as "keep" }, `"ifPresent" must be keep or replace`],
		[{ id: "a", ifPresent: "replace", delay: 10, within: 9 }, `"within" must be at least the delay`],
		[{ id: "a", ifPresent: "replace", within: NaN }, `"within" must be 0 or more`],
		[{ id: "a", within: 10 }, `"within" must be absent without ifPresent: "replace"`],
		[{ delay: 1, at: new Date(0) }, `"delay" must be absent with "at"`],
		[{ at: 5 as unknown as Date }, `"at" must be a Date`],
		[{ at: new Date(NaN) }, `"at" must be a valid Date`],
	])("refuses %j", async (options, message) => {
		const machine = new Machine();
		const basket = machine.basket({ save: (_: string) => {} });
		expect(String(await errorOf(basket.add("save", "text", options)))).toContain(message);
		expect(await basket.counts()).toMatchObject({ waiting: 0 });
	});
});

describe("Basket.add() at a time", () => {
	test("makes the task due then, or now if that is past", async () => {
		const machine = new Machine();
		const runs: [string, number][] = [];
		const basket = machine.basket({ ring: (text: string) => void runs.push([text, machine.clock.now()]) });
		const { stop } = running(basket);
		await basket.add("ring", "past", { at: new Date(5) });
		await basket.add("ring", "later", { at: new Date(1_060_000) });
		await machine.clock.advance(120_000);
		expect(runs).toEqual([["past", 1_000_000], ["later", 1_060_000]]);
		await stop();
	});
});
