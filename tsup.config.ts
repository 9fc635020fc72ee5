// The npm build: each entry point of deno.json as ESM and CommonJS with types, the minified core, and the programs.
import { rmSync } from "node:fs";
import { defineConfig, type Options } from "tsup";
import { withoutComments } from "./scripts/build/comments.ts";
import { declareModules } from "./scripts/build/declarations.ts";
import { thinMaps } from "./scripts/build/line-maps.ts";
import { type EntryPoint, entryPoints, minified, programs } from "./scripts/project.ts";

const common: Options = {
	target: "es2022",
	platform: "neutral",
	esbuildPlugins: [withoutComments],
};

const library: Options = { ...common, splitting: true, treeshake: true };

function toEntry({ output, source }: EntryPoint): [string, string] {
	return [output, source];
}

const builds: Options[] = [
	{
		...library,
		entry: Object.fromEntries([...entryPoints(), ...programs()].map(toEntry)), // they share what they have in common
		external: [/^node:/],
		removeNodeProtocol: false,
		format: ["esm"],
		sourcemap: true,
		esbuildOptions: (options) => {
			options.sourcesContent = false; // the package has the sources beside the maps
		},
		onSuccess: () => thinMaps("dist", programs().map(({ output }: EntryPoint) => output)),
	},
	{
		...library,
		entry: Object.fromEntries(entryPoints().map(toEntry)),
		format: ["cjs"],
		// The classes are AsyncDisposable, which TypeScript's es2022 library does not know yet.
		dts: { banner: '/// <reference lib="esnext.disposable" />' },
		onSuccess: () => declareModules("dist"),
	},
	{
		...common,
		entry: { [minified]: "mod.ts" },
		format: ["esm"],
		splitting: false,
		minify: true,
	},
];

// The builds run side by side, and tsup's own `clean` of one could remove the files of another: the folder is removed before.
export default defineConfig(() => {
	rmSync("dist", { recursive: true, force: true });
	return builds;
});
