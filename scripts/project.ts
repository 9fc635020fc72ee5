// The folder, the manifests and the entry points of the project, for the build and the checks. The entry points are listed
// once, in the `exports` of deno.json; everything else is derived from them.
import { readFileSync } from "node:fs";
import process from "node:process";

/** One line of deno.json's `exports`. */
export interface EntryPoint {
	/** The key: `.` or `./stores/sqlite`. */
	subpath: string;
	/** The module it names: `./src/stores/sqlite/sqlite.ts`. */
	source: string;
	/** Its name under dist/, without an extension: `index` or `stores/sqlite`. */
	output: string;
	/** The specifier for users of the npm package: `upkeep` or `upkeep/stores/sqlite`. */
	specifier: string;
}

/** The part of package.json that the scripts read. */
export interface PackageManifest {
	name: string;
	version: string;
	description: string;
	license: string;
	engines: Record<string, string>;
	sideEffects: boolean;
	files: string[];
	exports: Record<string, unknown>;
	main: string;
	module: string;
	types: string;
	bin: Record<string, string>;
	dependencies?: Record<string, string>;
}

/** The part of deno.json that the scripts read. */
export interface DenoManifest {
	name: string;
	version: string;
	exports: Record<string, string>;
	imports: Record<string, string>;
	publish: { include: string[] };
}

/** The folder of the project, in which npm and deno tasks start every script. */
export const root: string = process.cwd();

/** The minified core for `<script type="module">`, beside the entry points in dist/. */
export const minified = "upkeep.min";

export function readJson<T>(file: string): T {
	return JSON.parse(readFileSync(file, "utf8")) as T;
}

export function readPackage(): PackageManifest {
	return readJson<PackageManifest>("package.json");
}

export function readDeno(): DenoManifest {
	return readJson<DenoManifest>("deno.json");
}

/** The modules to import. */
export function entryPoints(): EntryPoint[] {
	return exported().filter((entry: EntryPoint) => !isProgram(entry));
}

/** The modules that are programs, which their first line says. In npm they are commands, on JSR ordinary modules. */
export function programs(): EntryPoint[] {
	return exported().filter(isProgram);
}

function isProgram({ source }: EntryPoint): boolean {
	return readFileSync(source, "utf8").startsWith("#!");
}

function exported(): EntryPoint[] {
	const { name } = readPackage();
	return Object.entries(readDeno().exports).map(([subpath, source]: [string, string]): EntryPoint => ({
		subpath,
		source,
		output: subpath === "." ? "index" : subpath.slice(2),
		specifier: name + subpath.slice(1),
	}));
}
