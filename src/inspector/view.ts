/**
 * The whole inspector: the head, the tabs, what the chosen tab shows, messages and questions.
 *
 * @module
 */

import { detail } from "./detail.ts";
import { charts, tiles } from "./figures.ts";
import { filters, rows } from "./list.ts";
import type { Model, Question, Tab } from "./model.ts";
import { type Child, type Described, h } from "./render.ts";
import { kinds, pause, schedules } from "./tables.ts";

/** Everything in the element. */
export function view(model: Model): readonly Child[] {
	const isList = model.tab === "outbox" || model.tab === "processor";
	return [
		h(
			"div",
			{ class: "inspector" },
			head(model),
			tabs(model),
			h(
				"div",
				{
					id: "panel",
					role: "tabpanel",
					"aria-labelledby": `tab-${model.tab}`,
					class: [model.link === "away" && "stale", model.selected && "open"].filter(Boolean).join(" "),
				},
				isList
					? [
						h("div", { class: "figures" }, tiles(model), charts(model)),
						filters(model),
						h("div", { class: "split" }, rows(model), detail(model)),
					]
					: model.tab === "schedules"
					? schedules(model)
					: kinds(model),
			),
			h("div", { class: "told", role: "status" }, model.told && h("span", {}, model.told)),
		),
		dialog(model, model.question),
	];
}

function head(model: Model): Described {
	const { overview, link, problem, source } = model;
	const names = [...new Set(overview?.sources.map(({ name }) => name))];
	const words = {
		connecting: "Connecting …",
		live: source?.pauses.all ? "Live, paused" : "Live",
		away: `No answer, trying again: ${problem}`,
	};
	return h(
		"header",
		{},
		h("h2", {}, names.join(" and ") || "Inspector"),
		h("p", { class: `link ${link}`, role: "status" }, words[link]),
		h("span", {}, source && pause(model, source)),
	);
}

function tabs(model: Model): Described {
	const { overview, tab } = model;
	const shown: [Tab, string][] = (overview?.sources ?? []).map(({ source }) => [
		source,
		source === "outbox" ? "Tasks" : "Jobs",
	]);
	const recurring = overview?.sources.reduce((sum, { schedules }) => sum + schedules.length, 0);
	shown.push(["schedules", recurring ? `Schedules ${recurring}` : "Schedules"], ["kinds", "Kinds"]);
	return h(
		"nav",
		{ role: "tablist", "aria-label": "What to show", onkeydown: (event: KeyboardEvent) => turn(event) },
		shown.map(([name, words]) =>
			h("button", {
				key: name,
				id: `tab-${name}`,
				role: "tab",
				"aria-selected": String(tab === name),
				"aria-controls": "panel",
				tabindex: tab === name ? 0 : -1,
				onclick: () => model.show(name),
			}, words)
		),
	);
}

/** The arrow keys go from tab to tab. */
function turn(event: KeyboardEvent): void {
	const all = [...(event.currentTarget as HTMLElement).children] as HTMLElement[];
	const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
	if (by === undefined) return;
	const next = all[(all.indexOf(event.target as HTMLElement) + by + all.length) % all.length]!;
	next.click();
	next.focus();
}

/** Stays in the page, so that the browser gives the focus back when it closes. `close` events come late: the next question may be there. */
function dialog(model: Model, question: Question | undefined): Described {
	const onsubmit = (event: SubmitEvent) => {
		event.preventDefault();
		const data = new FormData(event.target as HTMLFormElement);
		try {
			question?.onYes(Object.fromEntries([...data].map(([name, text]) => [name, String(text)])));
			model.ask(undefined);
		} catch (error) {
			model.wrong(error);
		}
	};
	return h(
		"dialog",
		{ key: "dialog", "aria-labelledby": "question", oncancel: () => model.ask(undefined) },
		question && h(
			"form",
			{ onsubmit },
			h("h3", { id: "question" }, question.title),
			h("p", {}, question.text),
			Object.entries(question.fields ?? {}).map(([name, [label, value]]) =>
				h("label", { key: name }, label, h("input", { name, value, autocomplete: "off" }))
			),
			h("p", { class: "error", role: "alert" }, model.mistake),
			h(
				"div",
				{ class: "bar" },
				h("button", { class: "end", type: "button", onclick: () => model.ask(undefined) }, "Back"),
				h("button", { class: question.isDangerous ? "main danger" : "main" }, question.verb),
			),
		),
	);
}
