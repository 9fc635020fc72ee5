// The npm build: each entry point of deno.json as ESM and CommonJS with types, the minified core, and the programs.
import { defineConfig, type Options } from "tsup";
import { type EntryPoint, entryPoints, minified, programs } from "./scripts/project.ts";

const common: Options = {
	target: "es2022",
	platform: "neutral",
	sourcemap: true,
	esbuildOptions: (options) => {
		options.sourcesContent = false; // the package has the sources beside the maps
	},
};

const entries: [string, string][] = entryPoints().map(toEntry);

function toEntry({ output, source }: EntryPoint): [string, string] {
	return [output, source];
}

// The builds run side by side, so that each clears only what it writes itself.
export default defineConfig([
	{
		...common,
		entry: Object.fromEntries(entries),
		format: ["esm", "cjs"],
		// The classes are AsyncDisposable, which TypeScript's es2022 library does not know yet.
		dts: { banner: '/// <reference lib="esnext.disposable" />' },
		splitting: true,
		treeshake: true,
		clean: ["**/*", `!${minified}.*`, ...programs().map(({ output }: EntryPoint) => `!${output}.*`)],
	},
	{
		...common,
		entry: { [minified]: "mod.ts" },
		format: ["esm"],
		splitting: false,
		minify: true,
		clean: [`${minified}.*`],
	},
	{
		...common,
		entry: Object.fromEntries(programs().map(toEntry)),
		format: ["esm"],
		platform: "node",
		removeNodeProtocol: false,
		splitting: false,
		treeshake: true,
		minify: true,
		sourcemap: false,
		clean: programs().map(({ output }: EntryPoint) => `${output}.*`),
	},
]);
