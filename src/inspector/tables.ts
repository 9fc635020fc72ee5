/**
 * The recurring tasks, and the kinds with their pauses.
 *
 * @module
 */

import type { InspectedSchedule, SourceOverview } from "../inspection/inspection.ts";
import { badge, time } from "./list.ts";
import type { Model } from "./model.ts";
import { type Child, type Described, h } from "./render.ts";
import { duration } from "./words.ts";

/** The schedules of all sources. */
export function schedules(model: Model): Described {
	const all = model.overview?.sources.flatMap(({ source, schedules }) => schedules.map((one) => ({ source, ...one })));
	if (!all?.length) return h("p", { class: "card empty" }, "There are no recurring tasks.");
	return table(
		["Name", "Kind", "Schedule", "Next", "State", ""],
		all.map(({ source, id, name, kind, text, next, state }) => [
			h("button", { onclick: () => model.openIn(source, id) }, name),
			kind,
			/^\d+$/.test(text) ? `every ${duration(Number(text))}` : text,
			time(next, model.now),
			badge({ state }),
			scheduleActions(model, source, { id, name, state }),
		]),
	);
}

function scheduleActions(
	model: Model,
	source: SourceOverview["source"],
	{ id, name, state }: Pick<InspectedSchedule, "id" | "name" | "state">,
): Child {
	const is = (type: "runNow" | "hold" | "release") => model.allows(type);
	const act = (type: "runNow" | "hold" | "release", done: string) =>
		void model.act({ type, source, id }, `${done} ${name}`);
	const label = (verb: string) => ({ "aria-label": `${verb} ${name}` });
	return h("span", { class: "bar" }, [
		state === "waiting" && is("runNow") &&
		h("button", { ...label("Run now"), onclick: () => act("runNow", "Due now:") }, "Run now"),
		state === "waiting" && is("hold") &&
		h("button", { ...label("Pause"), onclick: () => act("hold", "Paused") }, "Pause"),
		state === "held" && is("release") &&
		h("button", { ...label("Resume"), onclick: () => act("release", "Resumed") }, "Resume"),
	]);
}

/** The kinds of all sources. */
export function kinds(model: Model): Described {
	const all = model.overview?.sources.flatMap((one) =>
		[...new Set([...one.kinds, ...one.pauses.kinds])].sort().map((kind) => [one, kind] as const)
	);
	if (!all?.length) return h("p", { class: "card empty" }, "No kinds are known yet.");
	return table(
		["Kind", "In", "State", ""],
		all.map(([one, kind]) => [
			h("button", { onclick: () => model.show(one.source, { kind }) }, kind),
			one.name,
			one.pauses.all ? "all are paused" : one.pauses.kinds.includes(kind) ? "paused" : "not paused",
			pause(model, one, kind),
		]),
	);
}

/** Pauses a kind, or all of them, in the store: for all processes. */
export function pause(model: Model, { source, name, pauses }: SourceOverview, kind?: string): Child {
	const isPaused = kind === undefined ? pauses.all : pauses.kinds.includes(kind);
	const type = isPaused ? "resume" : "pause";
	if (!model.allows(type)) return false;
	const verb = isPaused ? "Resume" : "Pause";
	const onclick = () => void model.act({ type, source, kind }, `${verb}d ${kind ?? name}`);
	return h(
		"button",
		{ class: isPaused ? "main" : "", "aria-label": `${verb} ${kind ?? name}`, onclick },
		kind === undefined ? `${verb} ${name}` : verb,
	);
}

function table(heads: readonly string[], lines: readonly (readonly Child[])[]): Described {
	return h(
		"div",
		{ class: "card wide" },
		h(
			"table",
			{ role: "table" },
			h(
				"tr",
				{ role: "row" },
				heads.map((head) => h("th", { scope: "col" }, head || h("span", { class: "hidden" }, "Actions"))),
			),
			lines.map((line) =>
				h("tr", { role: "row" }, line.map((cell, index) => h("td", { role: "cell", "data-head": heads[index] }, cell)))
			),
		),
	);
}
