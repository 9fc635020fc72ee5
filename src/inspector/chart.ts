/**
 * Small charts of the last ten minutes, as SVG.
 *
 * @module
 */

import { type Child, type Described, h } from "./render.ts";

/** A line or a row of bars. */
export interface Series {
	/** The class with its colour. */
	readonly colour: string;
	/** Its values, the oldest first. */
	readonly points: readonly (readonly [at: number, value: number])[];
}

/** What a chart shows. */
export interface Chart {
	readonly title: string;
	/** The latest values in words. */
	readonly value: string;
	readonly series: readonly Series[];
	/** The right edge. */
	readonly now: number;
	/** Bars of this many milliseconds, one above the other, instead of lines. */
	readonly bars?: number;
}

const span = 600_000;
const height = 40;

/** A chart with its title. */
export function chart({ title, value, series, now, bars }: Chart): Described {
	const x = (at: number) => Math.min(100, Math.round((1 - (now - at) / span) * 1e4) / 100);
	const sums = new Map<number, number>();
	const drawn: Child[] = [];
	const most = mostOf(series, bars !== undefined);
	const y = (amount: number) => Math.round((1 - amount / most) * height * 100) / 100;
	for (const { colour, points } of series) {
		const shown = points.filter(([at]) => at > now - span);
		if (shown.length === 0) continue;
		const parts = shown.map(([at, amount]) => {
			if (bars === undefined) return `${x(at)} ${y(amount)}`;
			const below = sums.get(at) ?? 0;
			sums.set(at, below + amount);
			return `M${x(at)} ${y(below)}V${y(below + amount)}H${x(at + bars * .8)}V${y(below)}Z`;
		});
		if (bars !== undefined) drawn.push(h("path", { class: `bars ${colour}`, d: parts.join("") }));
		else {
			const line = `M${parts.join("L")}`;
			drawn.push(h("path", { class: colour, d: line }));
			if (series.length === 1) {
				drawn.push(h("path", { class: `area ${colour}`, d: `${line}V${height}H${x(shown[0]![0])}Z` }));
			}
		}
	}
	const label = `${title} in the last ten minutes. Now: ${value}`;
	return h(
		"figure",
		{ class: "card" },
		h("figcaption", {}, title, h("b", {}, value)),
		h(
			"svg",
			{ viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
			h("path", { class: "floor", d: `M0 ${height}H100` }),
			drawn,
		),
	);
}

/** The highest value, at least 1. Of bars, that of those that stand above each other. */
function mostOf(series: readonly Series[], isStacked: boolean): number {
	const sums = new Map<number, number>();
	let most = 1;
	for (const { points } of series) {
		for (const [at, amount] of points) {
			const sum = (isStacked ? sums.get(at) ?? 0 : 0) + amount;
			sums.set(at, sum);
			if (sum > most) most = sum;
		}
	}
	return most;
}
