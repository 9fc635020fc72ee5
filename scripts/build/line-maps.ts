// Source maps from lines to lines. The built code has one statement on a line, as the sources have, so a map of columns and
// names would take six times the bytes and lead a debugger to the same place.
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { SourceMap, type SourceMapPayload } from "node:module";
import { basename, join } from "node:path";

/** Replaces each map under a folder; a command gets none, because its sources are not in the package. */
export async function thinMaps(folder: string, commands: string[]): Promise<void> {
	for (const name of await readdir(folder, { recursive: true })) {
		if (name.endsWith(".js.map")) {
			await thinMap(join(folder, name), commands.includes(name.slice(0, -".js.map".length)));
		}
	}
}

async function thinMap(file: string, isCommand: boolean): Promise<void> {
	const code: string = file.slice(0, -".map".length);
	// tsup and its tree-shaking each name the map.
	const text: string = (await readFile(code, "utf8")).replace(/(\n\/\/# sourceMappingURL=.*)+$/, "\n");
	const { version, sources, ...map }: SourceMapPayload = JSON.parse(await readFile(file, "utf8"));
	const mappings: string = mapLines({ version, sources, ...map }, text.split("\n"));
	await writeFile(code, isCommand ? text : `${text}//# sourceMappingURL=${basename(file)}\n`);
	await (isCommand ? rm(file) : writeFile(file, JSON.stringify({ version, sources, names: [], mappings })));
}

/** One segment a line, from its start to the start of the line that it was built from. */
function mapLines(map: SourceMapPayload, lines: string[]): string {
	const decoded = new SourceMap(map);
	let [source, line]: [number, number] = [0, 0];
	const segments: string[] = lines.map((text: string, index: number) => {
		const entry = decoded.findEntry(index, text.search(/\S|$/));
		if (!("originalSource" in entry) || entry.generatedLine !== index) return "";
		const [lastSource, lastLine]: [number, number] = [source, line];
		[source, line] = [map.sources.indexOf(entry.originalSource), entry.originalLine];
		return [0, source - lastSource, line - lastLine, 0].map(encode).join("");
	});
	return segments.join(";").replace(/;+$/, "");
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** As source maps write a number: the sign in the lowest bit, five bits a digit, the lowest first, the sixth for "more". */
function encode(value: number): string {
	let rest: number = value < 0 ? -value * 2 + 1 : value * 2;
	let text = "";
	do {
		text += digits[rest % 32 + (rest >= 32 ? 32 : 0)];
		rest = Math.floor(rest / 32);
	} while (rest > 0);
	return text;
}
