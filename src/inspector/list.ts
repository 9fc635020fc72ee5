/**
 * The list of tasks or jobs: filters, rows and pages. A page has few rows however many tasks there are.
 *
 * @module
 */

import type { InspectedTask, InspectionQuery } from "../inspection/inspection.ts";
import type { Model } from "./model.ts";
import { type Child, type Described, h } from "./render.ts";
import { ago, instant } from "./words.ts";

/** The filters, and what can be done with all that they leave. */
export function filters(model: Model): Described {
	const { query, source } = model;
	const field = (name: "lane" | "prefix" | "text", label: string) =>
		h("input", {
			...{ type: "search", placeholder: label, "aria-label": label, value: query[name] ?? "", maxlength: 255 },
			...{ autocomplete: "off", spellcheck: "false" },
			// Not at each key: a search may read a thousand tasks.
			onchange: (event: Event) => model.filter({ [name]: (event.target as HTMLInputElement).value || undefined }),
		});
	const option = (value: string, text: string) => h("option", { key: value, value }, text);
	const select = (label: string, name: "kind" | "order" | "status", options: Child) =>
		h("select", {
			"aria-label": label,
			value: query[name] ?? "",
			onchange: (event: Event) => model.filter({ [name]: (event.target as HTMLSelectElement).value || undefined }),
		}, options);
	const kinds = [...new Set([...source?.kinds ?? [], ...query.kind === undefined ? [] : [query.kind]])].sort();
	return h(
		"div",
		{ class: "bar", role: "search", "aria-label": "Filter the list" },
		select("Kind", "kind", [option("", "All kinds"), kinds.map((kind) => option(kind, kind))]),
		model.tab === "processor" && select("Status", "status", [
			option("", "Any end"),
			["completed", "reverted", "failed"].map((status) => option(status, status)),
		]),
		field("lane", "Lane"),
		field("prefix", "Id begins with"),
		field("text", "Text"),
		select("Order", "order", [option("", "Newest first"), option("oldest", "Oldest first")]),
		query.parent !== undefined &&
			h("button", { onclick: () => model.filter({ parent: undefined }) }, `Children of ${query.parent} ✕`),
		retryAll(model),
	);
}

function retryAll(model: Model): Child {
	const { kind, lane, prefix, state } = model.query;
	const dead = model.source?.counts.dead;
	if (!model.allows("retryAll") || !dead || state !== "dead") return false;
	const { source } = model.source!;
	const which = [kind && `of kind ${kind}`, lane && `in lane ${lane}`, prefix && `with ids that begin with ${prefix}`]
		.filter(Boolean).join(", ");
	const onYes = () => void model.act({ type: "retryAll", source, kind, lane, prefix }, "Retried");
	const text = `All dead tasks ${
		which || "of all kinds"
	} run again, and their attempts are counted from the beginning.`;
	return h(
		"button",
		{ class: "end", onclick: () => model.ask({ title: "Retry all dead tasks?", text, verb: "Retry all", onYes }) },
		"Retry all …",
	);
}

/** The rows of this page. */
export function rows(model: Model): Described {
	const { page, trail } = model;
	const items = page?.items ?? [];
	const stop = items.find(({ id }) => id === model.row) ?? items[0];
	const hasPages = trail.length > 0 || page?.next !== undefined;
	return h(
		"div",
		{
			class: "card list",
			onpointerenter: () => model.read("pointer", true),
			onpointerleave: () => model.read("pointer", false),
		},
		items.length > 0 && h(
			"ul",
			{
				class: "rows",
				"aria-label": "Tasks",
				onkeydown: move,
			},
			items.map((item) => row(model, item, item === stop)),
		),
		items.length === 0 && h("p", { class: "empty" }, emptiness(model)),
		(hasPages || model.hasMore) && h(
			"div",
			{ class: "pages" },
			h("button", { disabled: trail.length === 0, onclick: () => model.previous() }, "Previous"),
			h("button", { disabled: page?.next === undefined, onclick: () => model.next() }, "Next"),
			h("small", {}, `Page ${trail.length + 1}`),
			model.hasMore &&
				h("button", { class: "end", onclick: () => model.catchUp() }, "The list has changed: show"),
		),
	);
}

function emptiness({ page, query, link }: Model): string {
	if (page === undefined) return link === "away" ? "There is no answer yet." : "Reading …";
	if (page.next !== undefined) return "Nothing here: the next page may have something.";
	const isFiltered = Object.entries(query).some(([name, value]) => name !== "order" && value !== undefined);
	return isFiltered ? "No task fits." : "There are no tasks.";
}

/** The arrow keys go from row to row. */
function move(event: KeyboardEvent): void {
	const list = event.currentTarget as HTMLElement;
	const buttons = [...list.querySelectorAll<HTMLElement>(".row")];
	const at = buttons.indexOf(event.target as HTMLElement);
	const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
	if (to === undefined || at < 0) return;
	event.preventDefault();
	buttons[Math.max(0, Math.min(to, buttons.length - 1))]!.focus();
}

function row(model: Model, item: InspectedTask, isStop: boolean): Described {
	const { source, id, kind, lane, error, preview, attempts } = item;
	const isOpen = model.selected?.id === id && model.selected.source === source;
	const facts = [kind, lane !== undefined && `lane ${lane}`, attempts > 0 && `${attempts} failed`, stepOf(item)];
	return h(
		"li",
		{ key: id },
		h(
			"button",
			{
				class: model.isGone(id) ? "row gone" : "row",
				tabindex: isStop ? 0 : -1,
				"aria-current": isOpen ? "true" : undefined,
				"data-id": id,
				onclick: () => model.open(source, id),
				onfocus: () => model.stopAt(id),
				onblur: ({ relatedTarget }: FocusEvent) => {
					if (!(relatedTarget as Element | null)?.classList.contains("row")) model.read("focus", false);
				},
			},
			badge(item),
			h(
				"span",
				{},
				h("p", {}, h("b", {}, id), h("small", {}, facts.filter(Boolean).join(" · "))),
				h("small", error && { class: "error" }, error ? `${error.name}: ${error.message}` : preview || "\u00a0"),
			),
			h("small", {}, when(item, model.now)),
		),
	);
}

/** The state in a word. */
export function badge({ state, job }: Pick<InspectedTask, "state" | "job">): Described {
	const isReverting = job?.direction === "backward" && (state === "waiting" || state === "running");
	return h("span", { class: `badge ${job?.status ?? state}` }, job?.status ?? (isReverting ? "reverting" : state));
}

function stepOf({ job }: InspectedTask): string | undefined {
	return job?.step === undefined ? undefined : `${job.direction === "backward" ? "reverts" : "step"} ${job.step}`;
}

/** The instant that matters. */
function when({ state, dueAt, addedAt, run }: InspectedTask, now: number): Child {
	if (state === "running" && run !== undefined) return ["began ", time(run.since, now)];
	if (state === "waiting" && typeof dueAt === "number" && dueAt > now) return ["due ", time(dueAt, now)];
	return ["added ", time(addedAt, now)];
}

/** An instant as seen from now. It is told anew each second, see `tick`. */
export function time(at: number, now: number): Described {
	return h("time", { "data-at": at, title: instant(at) }, ago(at, now));
}

/** Filters that show one lane in its order. */
export function inLane(lane: string): InspectionQuery {
	return { lane, order: "oldest" };
}
