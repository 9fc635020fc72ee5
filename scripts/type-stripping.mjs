// Lets a Node that does not run TypeScript by itself import it; scripts/run.mjs registers it. As with Node's own stripping, types go
// and nothing else is changed.
import { readFile } from "node:fs/promises";
import module, { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

/** Where the packages are that this Node needs; `undefined` if it needs none. */
let home;
let packages = [];
let strip;

export function initialize(data) {
	packages = data.packages;
	if (data.folder === undefined) {
		process.emitWarning = () => {}; // that this is experimental, once more
		strip = module.stripTypeScriptTypes;
		return;
	}
	const manifest = join(data.folder, "package.json");
	home = pathToFileURL(manifest).href;
	const { transform } = createRequire(manifest)("esbuild");
	const tsconfigRaw = { compilerOptions: { verbatimModuleSyntax: true } };
	strip = async (text) => (await transform(text, { loader: "ts", target: "es2022", tsconfigRaw })).code;
}

/** The packages are found from wherever they are imported. */
export function resolve(specifier, context, next) {
	const isPackage = home !== undefined && packages.includes(specifier);
	return next(specifier, isPackage ? { ...context, parentURL: home } : context);
}

export async function load(url, context, next) {
	if (!url.startsWith("file:") || !url.endsWith(".ts")) return await next(url, context);
	const source = await strip(await readFile(new URL(url), "utf8"));
	return { format: "module", source, shortCircuit: true };
}
