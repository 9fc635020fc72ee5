// The README keeps its length, and each size in it, between marks such as
// `<!-- size:run -->1,234 B<!-- /size -->`, is the measured size within one percent, so that a change of a few bytes changes no
// README. `--fix` writes the measured sizes.
import { readFileSync, writeFileSync } from "node:fs";
import { measureOutboxes } from "../bench/outboxes.ts";
import { formatSize, measureSizes } from "./check-sizes.ts";

const file = "README.md";
const lineLimit = 200;
const tolerance = 0.01;
const mark: RegExp = /(<!-- size:([\w-]+) -->)(.*?)(<!-- \/size -->)/g;

export async function checkReadme(fix: boolean): Promise<string> {
	const text: string = readFileSync(file, "utf8");
	const lines: number = text.trimEnd().split("\n").length;
	if (lines >= lineLimit) throw new Error(`${file} has ${lines} lines; it must stay under ${lineLimit}`);
	// The pattern does not match a mark that is broken over two lines.
	const [marks, opened]: number[] = [mark, /<!-- size:/g].map((pattern: RegExp) => [...text.matchAll(pattern)].length);
	if (marks !== opened) throw new Error(`${file}: ${opened! - marks!} marks of sizes are not whole on one line`);
	const outboxes = Object.entries(await measureOutboxes()).map(([name, size]) => [name, formatSize(size)] as const);
	const sizes: Map<string, string> = new Map([...await measureSizes(), ...outboxes]);
	const stale: string[] = Array.from(text.matchAll(mark), (match) => staleness(match, sizes)).flat();
	if (fix) writeFileSync(file, text.replace(mark, (_, open, name, __, close) => open + measured(sizes, name) + close));
	else if (stale.length > 0) {
		throw new Error(`${stale.join("\n")}\nnpm run check -- readme --fix writes the measured ones`);
	}
	return `${lines} lines`;
}

function staleness([, , name, quoted]: RegExpMatchArray, sizes: Map<string, string>): string[] {
	const size: string = measured(sizes, name!);
	return Math.abs(toBytes(quoted!) / toBytes(size) - 1) <= tolerance
		? []
		: [`${file} says ${quoted} for ${name}; measured: ${size}`];
}

function toBytes(size: string): number {
	return Number(/^([\d,]+) B$/.exec(size)?.[1]?.replaceAll(",", ""));
}

function measured(sizes: Map<string, string>, name: string): string {
	const size: string | undefined = sizes.get(name);
	if (size === undefined) {
		throw new Error(`${file} quotes the size "${name}", which neither .size-limit.json nor bench/outboxes.ts measures`);
	}
	return size;
}
