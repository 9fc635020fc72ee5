// The changes of time zones, compared with a cron that goes minute by minute. Both use the Intl of the engine, so the age
// of its time zones does not matter. `UPKEEP_ZONES=all` compares all zones in Node, which takes some minutes.
import { describe, expect, test } from "vitest";
import { cron } from "../../src/cron/cron.ts";
import { seed } from "../seed.ts";
import { isLong, isNode } from "../support.ts";
import { changesOf, clockAround, differenceAt, localTime, readRules } from "./oracle.ts";
import { patterns } from "./patterns.ts";

// They have gaps at 0:01, of half an hour and of two hours, and changes that are a week apart.
const special = ["America/St_Johns", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Gaza"];

const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
const isEverything = process?.env?.["UPKEEP_ZONES"] === "all";
const all: string[] = isLong || isEverything ? Intl.supportedValuesOf("timeZone") : [];
const sample = isEverything ? all : [...special, ...all.filter((_, i) => (i + seed) % (isNode ? 80 : 100) === 0)];
// Node compares all patterns; the other engines show that their Intl gives the same instants.
const used = patterns.filter((_, i) => (isLong && isNode) || isEverything || i % 20 === 0);

describe("cron().next() agrees with a cron that goes minute by minute, at each change from 2000 to 2037", () => {
	test.each(sample)("%s", (timeZone) => {
		const localOf = localTime(timeZone);
		const cases = used.flatMap((pattern, i) => {
			const rules = readRules(pattern);
			const one = { rules, gap: "end" as const, schedule: cron(pattern, { timeZone }) };
			if (i % 4 > 0) return [one];
			return [one, { rules, gap: "skip" as const, schedule: cron(pattern, { timeZone, gap: "skip" }) }];
		});
		for (const change of changesOf(localOf)) {
			const clock = clockAround(localOf, change);
			for (const { schedule, rules, gap } of cases) {
				expect(differenceAt(schedule, rules, clock, change, gap)).toBe(undefined);
			}
		}
	});
});
