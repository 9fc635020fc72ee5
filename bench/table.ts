// The results of a topic as text: each case beside its ratio to the first one, and the targets with ✓ or ✗.
import type { EngineName, Target, Topic } from "./topics.ts";

/** By case, then by engine. */
export type Results = Record<string, Partial<Record<EngineName, number>>>;

export interface Verdict extends Target {
	engine: EngineName;
	ratio: number;
	isMet: boolean;
}

/** Compares what was measured with what is wanted. */
export function judge({ targets }: Topic, results: Results, engines: EngineName[]): Verdict[] {
	return targets.flatMap((target: Target): Verdict[] =>
		engines.map((engine: EngineName): Verdict => {
			const ratio: number = results[target.case]![engine]! / results[target.of]![engine]!;
			return { ...target, engine, ratio, isMet: ratio <= target.most };
		})
	);
}

export function format(name: string, topic: Topic, results: Results, engines: EngineName[]): string {
	const verdicts: Verdict[] = judge(topic, results, engines);
	const cases: string[][] = topic.cases.map((label: string) => [
		label,
		...engines.flatMap((engine: EngineName) => cells(topic, results, label, engine)),
	]);
	const targets: string[][] = topic.targets.map((target: Target) => [
		`${target.case} ≤ ${target.most} × ${target.of}`,
		...verdicts.filter((verdict: Verdict) => verdict.case === target.case && verdict.of === target.of)
			.flatMap(({ isMet, ratio }: Verdict) => [isMet ? "✓" : "✗", `${ratio.toFixed(2)}×`]),
	]);
	const head: string[] = ["", ...engines.flatMap((engine: EngineName) => [engine, ""])];
	return `${name}: ${topic.title} (${topic.unit})\n${align([head, ...cases, [], ...targets])}\n`;
}

function cells({ cases }: Topic, results: Results, label: string, engine: EngineName): string[] {
	const value: number = results[label]![engine]!;
	const ratio: number = value / results[cases[0]!]![engine]!;
	return [value.toFixed(value < 10 ? 1 : 0), `${ratio.toFixed(2)}×`];
}

/** The first column to the left, the others to the right. */
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
