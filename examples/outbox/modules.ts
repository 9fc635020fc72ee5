/** The modules of the page: the sources themselves, without their types, as a browser loads them one by one. */

import { readFile } from "node:fs/promises";
import { stripTypes } from "../shared/strip-types.ts";

const root = new URL("../../", import.meta.url);

/** A statement that begins a line and imports a file. An example in a comment does not begin its line. */
const importing = /^(?:import|export)\b(?:[^;"]*\bfrom)?\s*"(\.[^"]+)"/gm;

/**
 * Reads modules and all that they import. Resolves with the code of each by its path, which begins with a slash and leads from
 * the root of the project. Whatever is not among them is not served.
 */
export async function readModules(...entries: string[]): Promise<ReadonlyMap<string, string>> {
	const modules = new Map<string, string>();
	const read = async (path: string): Promise<void> => {
		if (modules.has(path)) return;
		modules.set(path, ""); // several import it
		const code = await stripTypes(await readFile(new URL(`.${path}`, root), "utf8"));
		modules.set(path, code);
		const imported = [...code.matchAll(importing)].map(([, specifier]) => new URL(specifier!, `http://page${path}`));
		await Promise.all(imported.map(({ pathname }) => read(pathname)));
	};
	await Promise.all(entries.map(read));
	return modules;
}
