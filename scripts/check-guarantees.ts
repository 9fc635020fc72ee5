// Each sentence under "Guarantees" in the README is the title of a test. The bold words at the start of a point are headings.
import { globSync, readFileSync } from "node:fs";

export function checkGuarantees(): string {
	const promised: string[] = sentencesOf(readFileSync("README.md", "utf8"));
	if (promised.length === 0) throw new Error(`README.md has no points under "Guarantees"`);
	const titles: Set<string> = new Set(globSync("test/**/*.test.ts").flatMap(titlesOf));
	const untested: string[] = promised.filter((sentence) => !titles.has(sentence));
	if (untested.length > 0) throw new Error(`No test has the title\n${untested.join("\n")}`);
	return `${promised.length} sentences`;
}

function sentencesOf(readme: string): string[] {
	const section: string = /^## Guarantees\n([^]*?)^## /m.exec(readme)?.[1] ?? "";
	const points: string[] = section.split(/^- /m).slice(1);
	return points.flatMap((point) => plain(point.replace(/\*\*.*?\*\*/g, "")).split(/(?<=\.) /).map(withoutStop));
}

function titlesOf(file: string): string[] {
	const pattern: RegExp = /\btest\(\s*(["`])(.*?)\1,/g;
	return Array.from(readFileSync(file, "utf8").matchAll(pattern), ([, , title]) => plain(title!));
}

function plain(text: string): string {
	return text.replace(/[`\\]/g, "").replace(/\s+/g, " ").trim();
}

function withoutStop(sentence: string): string {
	return sentence.replace(/\.$/, "");
}
