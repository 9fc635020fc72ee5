// An entry point that is imported but not used must add nothing to a bundle; a side effect at the top level would.
import { resolve } from "node:path";
import { build, type Plugin } from "esbuild";
import { type EntryPoint, entryPoints, root } from "./project.ts";

// Otherwise the `sideEffects: false` of package.json would hide side effects.
const distrustful: Plugin = {
	name: "distrustful",
	setup: ({ onResolve }) =>
		onResolve({ filter: /^\./ }, ({ path, resolveDir }) => ({ path: resolve(resolveDir, path), sideEffects: true })),
};

export async function checkSideEffects(): Promise<void> {
	for (const { specifier, output } of entryPoints() as EntryPoint[]) {
		const left: string = await bundle(`import "./dist/${output}.js"`);
		if (left !== "") throw new Error(`import "${specifier}" alone leaves:\n${left}`);
	}
}

async function bundle(contents: string): Promise<string> {
	const result = await build({
		stdin: { contents, resolveDir: root },
		bundle: true,
		write: false,
		format: "esm",
		minifySyntax: true,
		plugins: [distrustful],
	});
	return result.outputFiles[0]!.text.replace(/^\/\/.*$/gm, "").trim();
}
