/**
 * What can be done with a task, if its state and the source allow it. What cannot be undone is asked first.
 *
 * @module
 */

import type { InspectedDetail, InspectionAction } from "../inspection/inspection.ts";
import type { Model, Question } from "./model.ts";
import { type Child, h } from "./render.ts";

/** The buttons of a task. */
export function actions(model: Model, task: InspectedDetail): Child {
	const offered = offersOf(task).filter(({ action }) => model.allows(action.type));
	return offered.length > 0 && h(
		"menu",
		{ class: "bar", "aria-label": "Actions" },
		offered.map(({ action, words, done, style, ask }) => {
			const onclick = () => ask === undefined ? void model.act(action, done) : model.ask(ask(model));
			return h("li", { key: words }, h("button", { class: style, onclick }, words));
		}),
	);
}

/** An action that fits the state of a task. */
export interface Offer {
	readonly action: InspectionAction;
	readonly words: string;
	/** What to say when it has happened. */
	readonly done: string;
	readonly style?: "main" | "danger" | undefined;
	/** The question before it. */
	readonly ask?: ((model: Model) => Question) | undefined;
}

/** What can be done with a task in its state. */
export function offersOf(task: InspectedDetail): readonly Offer[] {
	const { source, id, state, job, schedule } = task;
	const to = { source, id };
	const isOpen = state === "waiting" || state === "running";
	const isJob = job !== undefined && state !== "done";
	const offers: (Offer | false)[] = [
		state === "dead" && { action: { type: "retry", ...to }, words: "Retry", done: `Retried ${id}`, style: "main" },
		job?.status === "failed" && {
			...{ action: { type: "retry", ...to, from: "failure" }, words: "Retry from the failure", style: "main" },
			done: `Retried ${id}`,
		},
		(job?.status === "failed" || job?.status === "reverted") && {
			...{ action: { type: "retry", ...to, from: "start" }, words: "Retry from the start", done: `Retried ${id}` },
		},
		state === "waiting" && {
			...{ action: { type: schedule ? "runNow" : "retry", ...to }, words: "Run now", done: `${id} is due now` },
		},
		isOpen && { action: { type: "hold", ...to }, words: "Hold", done: `Held ${id}` },
		state === "held" && { action: { type: "release", ...to }, words: "Release", done: `Released ${id}`, style: "main" },
		isJob && job.direction === "forward" && {
			...{ action: { type: "signal", id, name: "" }, words: "Signal …", done: "", ask: (model) => signal(model, task) },
		},
		isJob && job.direction === "forward" && {
			...{ action: { type: "cancel", id }, words: "Cancel …", done: "", style: "danger" },
			ask: (model) => cancel(model, task),
		},
		{
			...{ action: { type: "delete", ...to }, words: "Delete …", done: "", style: "danger" },
			ask: (model) => removal(model, task),
		},
	];
	return offers.filter((offer) => offer !== false);
}

function removal(model: Model, { source, id, job, state }: InspectedDetail): Question {
	const isHalfDone = job !== undefined && state !== "done";
	return {
		title: isHalfDone ? "Delete an unfinished job?" : "Delete this task?",
		text: isHalfDone
			? `${id} has not ended. What its steps have done is not reverted. To revert it, cancel it instead.`
			: `${id} is removed, and nothing brings it back.`,
		verb: "Delete",
		isDangerous: true,
		onYes: () =>
			void model.act({ type: "delete", source, id, ...isHalfDone ? { halfDone: true } : {} }, `Deleted ${id}`),
	};
}

function cancel(model: Model, { id }: InspectedDetail): Question {
	return {
		title: "Cancel this job?",
		text: `${id} goes no further, and its steps are reverted in reverse order.`,
		verb: "Cancel the job",
		isDangerous: true,
		onYes: () => void model.act({ type: "cancel", id }, `Cancelled ${id}`),
	};
}

function signal(model: Model, { id, steps = [] }: InspectedDetail): Question {
	// A step of a definition that the source does not know has no type.
	const open = steps.filter(({ type = "waitFor", state }) => type === "waitFor" && /current|pending/.test(state));
	return {
		title: "Send a signal",
		text: `${id} gets a value for the step that waits for it.`,
		verb: "Send",
		fields: { name: ["Step", open[0]?.name ?? ""], value: ["Value as JSON", "true"] },
		onYes: ({ name, value }) => {
			if (!name) throw new Error("Name the step.");
			const json = value!.trim() === "" ? {} : { value: JSON.parse(value!) };
			void model.act({ type: "signal", id, name, ...json }, `Sent ${name} to ${id}`);
		},
	};
}
