/**
 * The figures above a list: how many tasks are in each state, and charts of the backlog, the rates and the waits.
 *
 * @module
 */

import type { InspectedTask, InspectionQuery, MeterSlot } from "../inspection/inspection.ts";
import { chart, type Series } from "./chart.ts";
import type { Model } from "./model.ts";
import { type Child, type Described, h } from "./render.ts";
import { count, duration } from "./words.ts";

/** The states in the order of the figures. */
const states: readonly InspectedTask["state"][] = ["waiting", "running", "held", "dead", "done"];

/** A button for each state, which filters the list. */
export function tiles(model: Model): Described {
	const counts = model.source?.counts;
	const tile = (state: InspectionQuery["state"], name: string, number: number | undefined) =>
		h(
			"button",
			{
				"aria-pressed": String(model.query.state === state),
				onclick: () => model.filter({ state }),
			},
			h("span", {}, name),
			h("b", { class: state !== undefined && number ? state : "" }, number === undefined ? "–" : count(number)),
		);
	const all = counts && states.reduce((sum, state) => sum + counts[state], 0);
	return h(
		"div",
		{ class: "tiles", role: "group", "aria-label": "Tasks by state" },
		tile(undefined, "All", all),
		states.map((state) => tile(state, state[0]!.toUpperCase() + state.slice(1), counts?.[state])),
	);
}

/** The charts. Rates and waits are shown if the program counts them. */
export function charts(model: Model): Described {
	const { samples, rates, now } = model;
	const backlog = samples.map(({ at, counts }) => [at, counts.waiting + counts.running] as const);
	const dead = samples.map(({ at, counts }) => [at, counts.dead] as const);
	const latest = (points: Series["points"]) => points.length === 0 ? "–" : count(points.at(-1)![1]);
	return h(
		"div",
		{ class: "charts" },
		chart({ title: "Backlog", value: latest(backlog), series: [{ colour: "running", points: backlog }], now }),
		rates === undefined
			? chart({ title: "Dead", value: latest(dead), series: [{ colour: "dead", points: dead }], now })
			: meterCharts(rates, now),
	);
}

function meterCharts(rates: readonly MeterSlot[], now: number): Child {
	const points = (value: (slot: MeterSlot) => number | undefined) =>
		rates.flatMap((slot) => {
			const amount = value(slot);
			return amount === undefined ? [] : [[slot.at, amount] as const];
		});
	// The last slot is not over yet.
	const latest = rates.findLast(({ at }) => at + slotTime <= now) ?? rates.at(-1);
	const perSecond = (amount = 0) => count(Math.round(amount / slotTime * 1e4) / 10);
	const failed = (slot: MeterSlot | undefined) => slot && slot.retried + slot.failed;
	const time = (milliseconds?: number) => milliseconds === undefined ? "–" : duration(milliseconds);
	return [
		chart({
			title: "Attempts",
			value: `${perSecond(latest?.done)} done, ${perSecond(failed(latest))} failed /s`,
			series: [
				{ colour: "done", points: points(({ done }) => done) },
				{ colour: "dead", points: points(failed) },
			],
			bars: slotTime,
			now,
		}),
		chart({
			title: "Wait",
			value: `p50 ${time(latest?.waited.p50)}, p95 ${time(latest?.waited.p95)}`,
			series: [
				{ colour: "waiting", points: points(({ waited }) => waited.p95) },
				{ colour: "running", points: points(({ waited }) => waited.p50) },
			],
			now,
		}),
	];
}

/** The length of a slot of a meter, in milliseconds. */
const slotTime = 10_000;
