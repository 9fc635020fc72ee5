// The results of a topic as text: each case with its ratio to the first case, and the targets with ✓ or ✗.
import type { EngineName, Target, Topic } from "./topics.ts";

/** By case, then by engine: a number for each column that the engine can measure. */
export type Results = Record<string, Partial<Record<EngineName, number[]>>>;

export interface Verdict extends Target {
	engine: EngineName;
	/** The ratio to the other case, or the number itself. */
	actual: number;
	isMet: boolean;
}

export function casesIn({ cases, only }: Topic, engine: EngineName): string[] {
	return cases.filter((label: string) => only?.[label]?.includes(engine) ?? true);
}

/** The units of the numbers of each case. */
export function columnsOf({ unit, more = [] }: Topic): string[] {
	return [unit, ...more];
}

/** Compares the results with the targets. */
export function judge(topic: Topic, results: Results, engines: EngineName[]): Verdict[] {
	return topic.targets.flatMap((target: Target): Verdict[] =>
		engines.map((engine: EngineName) => judgeOne(topic, results, engine, target)).filter((one) => one !== undefined)
	);
}

function judgeOne(topic: Topic, results: Results, engine: EngineName, target: Target): Verdict | undefined {
	const { case: label, most, of, column = topic.unit } = target;
	const index: number = columnsOf(topic).indexOf(column);
	const own: number | undefined = results[label]![engine]?.[index];
	const other: number | undefined = of === undefined ? 1 : results[of]![engine]?.[index];
	if (own === undefined || other === undefined) return undefined;
	return { ...target, engine, actual: own / other, isMet: own / other <= most };
}

export function format(name: string, topic: Topic, results: Results, engines: EngineName[]): string {
	const more: readonly string[] = topic.more ?? [];
	const blank: string[] = more.map(() => "");
	const cases: string[][] = topic.cases.map((label: string) => [
		label,
		...engines.flatMap((engine: EngineName) => cells(topic, results, label, engine)),
	]);
	const targets: string[][] = topic.targets.map((target: Target) => [
		describe(target),
		...engines.flatMap((engine: EngineName) => [...mark(judgeOne(topic, results, engine, target)), ...blank]),
	]);
	const head: string[] = ["", ...engines.flatMap((engine: EngineName) => [engine, "", ...more])];
	return `${name}: ${topic.title} (${topic.unit})\n${align([head, ...cases, [], ...targets])}\n`;
}

function describe({ case: label, most, of, column }: Target): string {
	const limit: string = of === undefined ? String(most) : `${most} × ${of}`;
	return `${label} ≤ ${limit}${column === undefined ? "" : `, ${column}`}`;
}

function mark(verdict: Verdict | undefined): string[] {
	if (verdict === undefined) return ["", ""];
	const { isMet, actual, of } = verdict;
	return [isMet ? "✓" : "✗", of === undefined ? short(actual) : `${actual.toFixed(2)}×`];
}

function cells(topic: Topic, results: Results, label: string, engine: EngineName): string[] {
	const columns: string[] = columnsOf(topic);
	const [value, ...more] = results[label]![engine] ?? [];
	if (value === undefined) return ["–", ...columns.map(() => "")];
	const first: number = results[casesIn(topic, engine)[0]!]![engine]![0]!;
	const rest: string[] = columns.slice(1).map((_, i: number) => more[i] === undefined ? "–" : short(more[i]));
	return [short(value), `${(value / first).toFixed(2)}×`, ...rest];
}

function short(value: number): string {
	return value.toFixed(value < 10 ? 1 : 0);
}

/** Aligns the first column to the left, the others to the right. */
function align(rows: string[][]): string {
	const widths: number[] = rows.reduce(
		(widest: number[], row: string[]) =>
			row.map((cell: string, i: number) => Math.max(cell.length, widest[i] ?? 0))
				.concat(widest.slice(row.length)),
		[],
	);
	const pad = (cell: string, i: number): string => i === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[i]! + 1);
	return rows.map((row: string[]) => `  ${row.map(pad).join(" ")}`.trimEnd()).join("\n");
}
