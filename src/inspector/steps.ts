/**
 * A job as its steps: what each has done, what waits, what is reverted.
 *
 * @module
 */

import type { InspectedAttempt, InspectedDetail, InspectedStep } from "../inspection/inspection.ts";
import { time } from "./list.ts";
import { type Child, type Described, h } from "./render.ts";
import { duration, readable } from "./words.ts";

/** A sign and a word for each state, so that nobody needs the colours. */
const signs: Readonly<Record<InspectedStep["state"], readonly [sign: string, colour: string]>> = {
	done: ["✓", "done"],
	current: ["▸", "running"],
	pending: ["○", "quiet"],
	failed: ["✕", "dead"],
	reverting: ["↶", "held"],
	reverted: ["↶", "held"],
};

const waits: Readonly<Record<string, string>> = {
	...{ sleep: "sleeps", waitFor: "waits for a signal", each: "for each item", job: "another job", step: "" },
};

/** The steps of a job, in order. */
export function steps({ steps, history }: InspectedDetail, now: number): Child {
	if (steps === undefined) return false;
	return h(
		"section",
		{ key: "steps" },
		h("h4", {}, "Steps"),
		h("ol", { class: "steps" }, steps.map((step) => item(step, history, now))),
	);
}

function item(step: InspectedStep, all: readonly InspectedAttempt[], now: number): Described {
	const { name, type, state, until, error, result } = step;
	const [sign, colour] = signs[state];
	const isWaiting = state === "current" && typeof until === "number" && until > now;
	const facts = [state, waits[type ?? "step"], step.attempts ? `${step.attempts} failed` : ""].filter(Boolean);
	const attempts = all.filter(({ step }) => step === name);
	return h(
		"li",
		{ key: name },
		h("i", { class: colour, "aria-hidden": "true" }, sign),
		h(
			"div",
			{},
			h("b", {}, name),
			" ",
			h("small", {}, facts.join(", "), isWaiting && [", until ", time(until, now)]),
			error && h("p", { class: "error" }, `${error.name}: ${error.message}`),
			attempts.length > 0 && h("ul", {}, attempts.map((attempt) => h("li", {}, line(attempt, now)))),
			result && "value" in result &&
				h("details", {}, h("summary", {}, "Result"), h("pre", { tabindex: 0 }, readable(result.value))),
		),
	);
}

function line({ isRevert, attempt, startedAt, endedAt, error }: InspectedAttempt, now: number): Described {
	const took = endedAt === undefined ? "never ended" : duration(endedAt - startedAt);
	const what = `${isRevert ? "revert" : "attempt"} ${attempt ?? "–"}, ${took}, `;
	return h(
		"small",
		{},
		what,
		time(startedAt, now),
		error && h("span", { class: "error" }, ` ${error.name}: ${error.message}`),
	);
}
