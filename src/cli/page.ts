/**
 * The page of `upkeep serve`: an inspector, and the modules that it consists of.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import module from "node:module";
import process from "node:process";
import { Failure } from "./terminal.ts";

/** The part of Bun that is used here. */
interface Bun {
	readonly Transpiler: new (options: object) => { transformSync(text: string): string };
}

/** A file of the page. */
export interface PageFile {
	readonly text: string;
	readonly type: string;
}

const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>upkeep</title>
<link rel="stylesheet" href="page.css">
<link rel="icon" href="icon.svg">
<script type="module" src="page.js"></script>
<upkeep-inspector src="upkeep"></upkeep-inspector>
<noscript>The inspector needs JavaScript.</noscript>
`;

const css = `html { color-scheme: light dark; background: Canvas; color: CanvasText; }
body { margin: 0; font-family: system-ui, sans-serif; }
`;

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<path fill="none" stroke="#2a7d4f" stroke-width="2" d="M13.5 8A5.5 5.5 0 1 1 8 2.5h3M9 .5l2.2 2L9 4.5M5.5 8l2 2 3-4"/>
</svg>
`;

/** A statement that imports a file. It begins a line, unlike an example in a comment. */
const importing = /^(?:import|export)\b(?:[^;"]*\bfrom)?\s*"(\.[^"]+)"/gm;

/**
 * Reads the files of the page, by their paths without the first slash: of the built package, or of the sources without
 * their types.
 *
 * @throws {Failure} (as a rejection) if this installation does not have them
 */
export async function readPage(): Promise<ReadonlyMap<string, PageFile>> {
	const javascript = "text/javascript";
	const [entry, modules] = await readInspector();
	const start = `import { defineInspector } from "./modules/${entry}";\ndefineInspector();\n`;
	const files = new Map<string, PageFile>([
		["", { text: html, type: "text/html" }],
		["page.css", { text: css, type: "text/css" }],
		["icon.svg", { text: icon, type: "image/svg+xml" }],
		["page.js", { text: start, type: javascript }],
	]);
	for (const [path, text] of modules) files.set(`modules/${path}`, { text, type: javascript });
	return files;
}

/** The path of the first module, and all modules by their paths. */
async function readInspector(): Promise<readonly [string, ReadonlyMap<string, string>]> {
	// `dist/cli.js`, or a chunk beside it; or this file in `src/cli/`.
	const isSource = import.meta.url.endsWith(".ts");
	const [root, entry] = isSource
		? [new URL("../", import.meta.url), "inspector/inspector.ts"] as const
		: [new URL("./", import.meta.url), "inspector.js"] as const;
	try {
		return [entry, await readModules(root, entry, isSource ? await findStrip() : (text) => text)];
	} catch (error) {
		if (error instanceof Failure) throw error;
		throw new Failure(1, `The page cannot be read: ${(error as Error).message}`, { cause: error });
	}
}

/** Reads a module and those that it imports, under one folder. Others are not served. */
async function readModules(
	root: URL,
	entry: string,
	strip: (text: string) => string,
): Promise<ReadonlyMap<string, string>> {
	const modules = new Map<string, string>();
	const read = async (path: string): Promise<void> => {
		if (modules.has(path)) return;
		modules.set(path, ""); // several modules may import it
		const text = strip(await readFile(new URL(path, root), "utf8"));
		modules.set(path, text);
		const imported = [...text.matchAll(importing)].map(([, specifier]) => new URL(specifier!, `http://page/${path}`));
		await Promise.all(imported.map(({ pathname }) => read(pathname.slice(1))));
	};
	await read(entry);
	return modules;
}

/** What removes the types from a module of a clone. */
async function findStrip(): Promise<(text: string) => string> {
	const { Bun } = globalThis as { Bun?: Bun };
	if (Bun !== undefined) return (text) => new Bun.Transpiler({ loader: "ts" }).transformSync(text);
	const { stripTypeScriptTypes } = module as { stripTypeScriptTypes?: (text: string) => string };
	if (stripTypeScriptTypes === undefined) {
		throw new Failure(1, "In a clone of upkeep, serve needs Node 22.13 or later, Deno or Bun; or install the package");
	}
	return (text) => {
		const { emitWarning } = process;
		try {
			process.emitWarning = () => {}; // Node warns that the function is experimental
			return stripTypeScriptTypes(text);
		} finally {
			process.emitWarning = emitWarning;
		}
	};
}
