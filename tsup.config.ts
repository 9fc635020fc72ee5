// The npm build: each entry point of deno.json as ESM and CommonJS with types, and the minified core.
import { defineConfig, type Options } from "tsup";
import { type EntryPoint, entryPoints, minified } from "./scripts/project.ts";

const common: Options = { target: "es2022", platform: "neutral", sourcemap: true };

const entries: [string, string][] = entryPoints().map(({ output, source }: EntryPoint) => [output, source]);

// The two builds run side by side, so that each clears only what it writes itself.
export default defineConfig([
	{
		...common,
		entry: Object.fromEntries(entries),
		format: ["esm", "cjs"],
		// The classes are AsyncDisposable, which TypeScript's es2022 library does not know yet.
		dts: { banner: '/// <reference lib="esnext.disposable" />' },
		splitting: true,
		treeshake: true,
		clean: ["**/*", `!${minified}.*`],
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
