/** The modules of the page: the sources without their types, which the browser loads one by one. */

import { readFile } from "node:fs/promises";
import { stripTypes } from "./strip-types.ts";

const root = new URL("../../", import.meta.url);

/** A statement that imports a file. It begins a line, unlike an example in a comment. */
const importing = /^(?:import|export)\b(?:[^;"]*\bfrom)?\s*"(\.[^"]+)"/gm;

/**
 * Reads modules and their imports. Resolves with the code of each by its path, which begins with a slash and is relative
 * to the root of the project. Other files are not served.
 */
export async function readModules(...entries: string[]): Promise<ReadonlyMap<string, string>> {
	const modules = new Map<string, string>();
	const read = async (path: string): Promise<void> => {
		if (modules.has(path)) return;
		modules.set(path, ""); // several modules may import it
		const code = await stripTypes(await readFile(new URL(`.${path}`, root), "utf8"));
		modules.set(path, code);
		const imported = [...code.matchAll(importing)].map(([, specifier]) => new URL(specifier!, `http://page${path}`));
		await Promise.all(imported.map(({ pathname }) => read(pathname)));
	};
	await Promise.all(entries.map(read));
	return modules;
}
