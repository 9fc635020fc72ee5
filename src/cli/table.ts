/**
 * Formats tables that fit the width of the terminal.
 *
 * @module
 */

import type { TaskState } from "../basket/store.ts";
import { cut, type Paint, type Style, widthOf } from "./text.ts";

/** The colors of the states. */
export const stateStyles: Readonly<Record<TaskState, Style>> = {
	waiting: "yellow",
	running: "cyan",
	held: "dim",
	dead: "red",
	done: "green",
};

/** A column of a table. */
export interface Column {
	/** The heading. */
	readonly title: string;
	/** Whether its text is aligned to the right. */
	readonly isRight?: boolean | undefined;
	/** The styles of its values. */
	readonly styles?: Readonly<Record<string, Style>> | undefined;
}

/** How to save width, in this order: the column is narrowed to this width; 0 removes it. */
export type Squeeze = readonly (readonly [column: number, width: number])[];

const gap = 2;

/** Returns lines of at most `width` columns, the headings first. The cells must be clean. */
export function toTable(
	columns: readonly Column[],
	rows: readonly (readonly string[])[],
	squeeze: Squeeze,
	width: number,
	paint: Paint,
): string[] {
	const widths = fit(
		columns.map(({ title }, index) => widest([title, ...rows.map((row) => row[index]!)])),
		squeeze,
		width,
	);
	const toLine = (cells: readonly string[], style: (index: number) => Style | undefined) =>
		columns.flatMap(({ isRight }, index) => {
			if (widths[index] === 0) return [];
			const text = cut(cells[index]!, widths[index]!);
			const space = " ".repeat(Math.max(0, widths[index]! - widthOf(text)));
			const painted = paint(text === "" ? undefined : style(index), text);
			return [isRight ? space + painted : painted + space];
		}).join(" ".repeat(gap)).trimEnd();
	return [
		toLine(columns.map(({ title }) => title), () => "dim"),
		...rows.map((row) => toLine(row, (index) => columns[index]!.styles?.[row[index]!])),
	];
}

function widest(cells: readonly string[]): number {
	return cells.reduce((most, cell) => Math.max(most, widthOf(cell)), 0);
}

function fit(natural: readonly number[], squeeze: Squeeze, width: number): number[] {
	const widths = [...natural];
	const excess = () => {
		const shown = widths.filter((width) => width > 0);
		return shown.reduce((sum, width) => sum + width + gap, -gap) - width;
	};
	for (const [column, least] of squeeze) {
		const over = excess();
		if (over <= 0) break;
		const now = widths[column]!;
		widths[column] = least === 0 ? 0 : Math.min(now, Math.max(least, now - over));
	}
	// In an even narrower terminal, only the first column remains.
	for (let column = widths.length - 1; column > 0 && excess() > 0; column--) widths[column] = 0;
	widths[0] = Math.min(widths[0]!, width);
	return widths;
}
