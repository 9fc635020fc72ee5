/**
 * Everything about one task: its state, what can be done, its error, payload, attempts and lane, and the steps of a job.
 *
 * @module
 */

import type { InspectedAttempt, InspectedDetail, InspectedValue } from "../inspection/inspection.ts";
import { actions } from "./actions.ts";
import { steps } from "./steps.ts";
import { badge, inLane, time } from "./list.ts";
import type { Model } from "./model.ts";
import { type Child, type Described, h } from "./render.ts";
import { duration, instant, readable } from "./words.ts";

/** The selected task. */
export function detail(model: Model): Child {
	const { selected, detail, now } = model;
	if (selected === undefined) return false;
	const close = h("button", { class: "end", onclick: () => model.close(), "aria-label": "Close the details" }, "✕");
	const head = (...more: Child[]) =>
		h("header", {}, h("div", {}, h("h3", { tabindex: -1, id: "detail" }, selected.id), more), close);
	if (!detail) return panel(head(), h("p", { class: "quiet" }, detail === null ? "This task is gone." : "Reading …"));
	const { error, revertError, payload, result, meta } = detail;
	const metas = Object.entries(meta);
	return panel(
		head(badge(detail)),
		actions(model, detail),
		failure("Error", error),
		failure("Could not be reverted", revertError),
		facts(detail, now),
		steps(detail, now),
		children(model, detail),
		value(detail.job ? "Input" : "Payload", payload, "It is withheld."),
		result && value("Result", result),
		metas.length > 0 &&
			section("Meta", h("dl", {}, metas.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]))),
		attempts(detail, now),
		lane(model, detail),
	);
}

function panel(...children: Child[]): Described {
	return h("section", { key: "detail", class: "card detail", "aria-labelledby": "detail" }, children);
}

/** A part with a title. */
export function section(title: string, ...children: Child[]): Described {
	return h("section", { key: title }, h("h4", {}, title), children);
}

function facts(task: InspectedDetail, now: number): Described {
	const {
		kind,
		lane,
		parent,
		priority,
		state,
		addedAt,
		firstAddedAt,
		dueAt,
		run,
		attempts,
		crashes,
		schedule,
		job,
		progress,
	} = task;
	const due = { waiting: "Due", running: "Claimed until", held: "Due", dead: "Kept until", done: "Kept until" }[state];
	const rows: [string, Child][] = [
		[job ? "Job" : "Kind", job?.version === undefined ? kind : `${kind}, version ${job.version}`],
		["Lane", lane],
		["Child of", parent],
		["Worker", run && (run.worker ?? "unknown")],
		["Running", run && time(run.since, now)],
		["Failed attempts", attempts > 0 && String(attempts)],
		["Crashes", (crashes ?? 0) > 0 && String(crashes)],
		["Progress", progress && `${progress.value} ${progress.description ?? ""}`],
		["Priority", priority !== 0 && String(priority)],
		["Schedule", schedule && [`${schedule.text}, `, time(schedule.next, now)]],
		["Added", at(addedAt, now)],
		["First added", firstAddedAt !== undefined && at(firstAddedAt, now)],
		[due, typeof dueAt === "number" && at(dueAt, now)],
	];
	return h("dl", {}, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function at(instantAt: number, now: number): Child {
	return [time(instantAt, now), h("small", {}, ` ${instant(instantAt)}`)];
}

function failure(title: string, error: InspectedDetail["error"]): Child {
	if (!error) return false;
	const { name, message, code, stack } = error;
	return section(
		title,
		h("pre", { tabindex: 0, class: "error" }, `${name}${code === undefined ? "" : ` (${code})`}: ${message}`),
		stack && h("details", {}, h("summary", {}, "Stack"), h("pre", { tabindex: 0 }, stack)),
	);
}

/** A value as text. */
export function value(title: string, shown: InspectedValue | undefined, instead = ""): Child {
	if (!shown) return instead && section(title, h("p", { class: "quiet" }, instead));
	return section(
		title,
		h("pre", { tabindex: 0 }, "value" in shown ? readable(shown.value) : "undefined"),
		shown.isCut && h("small", {}, "Parts are left out because they are long."),
	);
}

/** The attempts; those of the steps of a job are shown with these. */
function attempts({ history, steps }: InspectedDetail, now: number): Child {
	const shown = history.filter(({ step }) => !steps?.some(({ name }) => name === step));
	if (shown.length === 0) return false;
	const cells = ({ startedAt, endedAt, worker, error }: InspectedAttempt): Child[] => [
		time(startedAt, now),
		endedAt === undefined ? "never ended" : duration(endedAt - startedAt),
		worker ?? "–",
		error ? h("span", { class: "error" }, `${error.name}: ${error.message}`) : endedAt === undefined ? "–" : "done",
	];
	return section(
		"Attempts",
		h(
			"table",
			{},
			h("tr", {}, ["#", "Began", "Took", "Worker", "Outcome"].map((name) => h("th", { scope: "col" }, name))),
			shown.toReversed().map((one) =>
				h("tr", {}, h("td", {}, `${one.attempt ?? "–"}`), cells(one).map((cell) => h("td", {}, cell)))
			),
		),
	);
}

function lane(model: Model, { lane, ahead, id, source }: InspectedDetail): Child {
	if (lane === undefined) return false;
	const before = ahead &&
		(ahead.count === 0 ? "It is the head." : `${ahead.count}${ahead.isMore ? "+" : ""} before it.`);
	return section(
		`Lane ${lane}`,
		before && h("p", { class: "quiet" }, before),
		h(
			"ol",
			{ class: "rows" },
			model.lane.map((task) =>
				h(
					"li",
					{ key: task.id },
					h(
						"button",
						{
							class: "row",
							"aria-current": task.id === id ? "true" : undefined,
							onclick: () => model.open(source, task.id),
						},
						badge(task),
						h("b", {}, task.id),
						h("small", {}, time(task.addedAt, model.now)),
					),
				)
			),
		),
		h("button", { onclick: () => model.filter(inLane(lane), true) }, "Show the whole lane"),
	);
}

function children(model: Model, { id, job, childrenByState }: InspectedDetail): Child {
	if (!job?.children && !childrenByState) return false;
	const counts = Object.entries(childrenByState ?? {}).filter(([, number]) => number);
	const text = counts.map(([state, number]) => `${number} ${state}`).join(", ");
	return section(
		"Children",
		h("p", {}, text || `${job!.children!.added} of ${job!.children!.count} are added`),
		h("button", { onclick: () => model.filter({ parent: id }, true) }, "Show the children"),
	);
}
