// The npm build: each entry point of deno.json as ESM and CommonJS with types, the minified core, and the programs.
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

// The builds run side by side, so that each clears only what it writes itself.
export default defineConfig([
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
		clean: ["**/*.{js,js.map}", `!${minified}.js`],
		onSuccess: () => thinMaps("dist", programs().map(({ output }: EntryPoint) => output)),
	},
	{
		...library,
		entry: Object.fromEntries(entryPoints().map(toEntry)),
		format: ["cjs"],
		// The classes are AsyncDisposable, which TypeScript's es2022 library does not know yet.
		dts: { banner: '/// <reference lib="esnext.disposable" />' },
		clean: ["**/*.{cjs,cjs.map,d.ts,d.cts}"],
		onSuccess: () => declareModules("dist"),
	},
	{
		...common,
		entry: { [minified]: "mod.ts" },
		format: ["esm"],
		splitting: false,
		minify: true,
		clean: [`${minified}.*`],
	},
]);
