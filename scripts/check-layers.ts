// Imports under src/ point downwards only: no circle, none of mod.ts, none of a neighbour on the same floor.
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";

interface Import {
	from: string;
	to: string;
	typeOnly: boolean;
}

// From the ground up; a name ending in "/" is a folder. What is named nowhere belongs to the runner, which runs every
// attempt: its parts may import each other. On the floors above, neighbours may not, except within one folder.
const ground: string[] = ["platform/"];
const floors: string[][] = [
	["group.ts", "intermittent.ts", "lifecycle.ts", "reconcile.ts", "pool.ts", "basket/"],
	["intermittent-map.ts", "poll.ts", "services.ts", "services/", "job/", "records/"],
	[
		"store.ts",
		"stores/",
		"browser.ts",
		"browser/",
		"http.ts",
		"http/",
		"testing.ts",
		"testing/",
		"threads.ts",
		"threads/",
	],
	["cli.ts", "cli/"],
];
const runner = 1;

export function checkLayers(): void {
	const imports: Import[] = globSync("src/**/*.ts").flatMap(importsOf);
	const faults: string[] = [...imports.filter(pointsUp).map(describe), ...circles(imports)];
	if (faults.length > 0) throw new Error(faults.join("\n"));
}

function importsOf(from: string): Import[] {
	const pattern: RegExp = /^(?:import|export)\b(\s+type\b)?[^;"']*?(?:from\s+)?"(\.[^"]+)"/gm;
	return Array.from(readFileSync(from, "utf8").matchAll(pattern), ([, type, path]: RegExpMatchArray): Import => ({
		from,
		to: join(dirname(from), path!),
		typeOnly: type !== undefined,
	}));
}

function pointsUp({ from, to, typeOnly }: Import): boolean {
	if (!to.startsWith("src/")) return true;
	const [above, below]: number[] = [floorOf(from), floorOf(to)];
	const isBeside = from.startsWith("src/stores/") && !to.startsWith("src/records/");
	if (isBeside && below! > runner && below! < above!) return !typeOnly;
	if (above! <= runner || unitOf(from) === unitOf(to)) return below! > above!;
	return below! >= above!;
}

function floorOf(file: string): number {
	if (ground.some((name: string) => belongs(file, name))) return 0;
	const floor: number = floors.findIndex((names: string[]) => names.some((name: string) => belongs(file, name)));
	return floor < 0 ? runner : runner + 1 + floor;
}

function belongs(file: string, name: string): boolean {
	return name.endsWith("/") ? file.startsWith(`src/${name}`) : file === `src/${name}`;
}

/** The folder under src/, or the file that stands for one: `testing` for `testing.ts` and `testing/clock.ts`. */
function unitOf(file: string): string {
	return file.slice("src/".length).split(/[/.]/)[0]!;
}

function describe({ from, to }: Import): string {
	return `${from} must not import ${to}`;
}

// Files that import nothing, or that nothing imports, are taken away until there are none: the rest runs in circles.
function circles(imports: Import[]): string[] {
	const importing = new Set<string>(imports.map(({ from }: Import) => from));
	const imported = new Set<string>(imports.map(({ to }: Import) => to));
	const left: Import[] = imports.filter(({ from, to }: Import) => importing.has(to) && imported.has(from));
	if (left.length < imports.length) return circles(left);
	return left.map(({ from, to }: Import) => `${from} imports ${to} in a circle`);
}
