// Finds the ```ts blocks of the documentation: in Markdown files, and in the doc comments of the sources.
import { globSync, readFileSync } from "node:fs";

/** Where a block runs: everywhere, in one place, or (with the reason written after it) nowhere. */
export type Place = "everywhere" | "node" | "deno" | "bun" | "browser" | "no-run";

export interface Block {
	/** The file it stands in. */
	file: string;
	/** The line of its opening fence, from 1. */
	line: number;
	place: Place;
	code: string;
}

interface Fence {
	line: number;
	indent: number;
	info: string;
	code: string[];
}

const markdown: string[] = ["*.md", "docs/**/*.md"];
const sources: string[] = ["mod.ts", "src/**/*.ts"];

/** Returns all blocks of the project; throws if a block has an unknown mark. */
export function findBlocks(): Block[] {
	const pages: Block[] = globSync(markdown).filter((file: string) => file !== "CHANGELOG.md")
		.flatMap((file: string) => blocksOf(file, readFileSync(file, "utf8").split("\n")));
	const comments: Block[] = globSync(sources)
		.flatMap((file: string) => blocksOf(file, commentLines(readFileSync(file, "utf8"))));
	return [...pages, ...comments].sort((a: Block, b: Block) => a.file.localeCompare(b.file) || a.line - b.line);
}

/** The blocks of a page that are files of a program, such as `ts file src/main.ts`: their text by path. */
export function findFiles(page: string): Map<string, string> {
	const fences: Fence[] = fencesOf(page, readFileSync(page, "utf8").split("\n"));
	return new Map(fences.filter(isFile).map(({ info, code }: Fence) => [info.split(" ")[2]!, code.join("\n") + "\n"]));
}

function isFile({ info }: Fence): boolean {
	return /^\w+ file \S+$/.test(info);
}

/** The text of the doc comments, each line at its place in the file, without the code between them. */
function commentLines(text: string): string[] {
	let inside = false;
	return text.split("\n").map((line: string) => {
		inside ||= /^\s*\/\*\*/.test(line);
		const comment: string = inside ? line.replace(/^\s*(\/\*\*|\*(?!\/)) ?/, "") : "";
		inside &&= !line.includes("*/");
		return comment;
	});
}

function blocksOf(file: string, lines: string[]): Block[] {
	return fencesOf(file, lines).filter((fence: Fence) => isScript(fence.info) && !isFile(fence)).map((
		{ line, info, code }: Fence,
	) => ({
		file,
		line,
		place: placeOf(info, `${file}:${line}`),
		code: code.join("\n"),
	}));
}

function fencesOf(file: string, lines: string[]): Fence[] {
	const fences: Fence[] = [];
	let open: Fence | undefined;
	lines.forEach((text: string, index: number) => {
		const mark: RegExpMatchArray | null = text.match(/^(\s*)```\s*(.*?)\s*$/);
		if (open && mark?.[2] === "") open = undefined;
		else if (open) open.code.push(text.slice(Math.min(open.indent, text.search(/\S|$/))));
		else if (mark) fences.push(open = { line: index + 1, indent: mark[1]!.length, info: mark[2]!, code: [] });
	});
	if (open) throw new Error(`${file}:${open.line}: the block is not closed`);
	return fences;
}

function isScript(info: string): boolean {
	return /^(ts|tsx|mts|typescript|js|jsx|mjs|javascript)\b/.test(info);
}

function placeOf(info: string, where: string): Place {
	const [, place = "everywhere", reason] = info.match(/^ts(?: (node|deno|bun|browser|no-run))?(?: (.+))?$/) ??
		[, "unknown"];
	if (place === "unknown" || (reason !== undefined) !== (place === "no-run")) {
		throw new Error(
			`${where}: "${info}" is no mark of a block; use "ts", "ts node", "ts deno", "ts bun", "ts browser", "ts no-run <reason>" or "ts file <path>"`,
		);
	}
	return place as Place;
}
