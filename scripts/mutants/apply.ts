// Makes the mistakes of the list, and checks that each can be made.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../project.ts";
import { type Mutant, mutants } from "./list.ts";

/** The source with the mistake, in a tree. */
export function mutate(tree: string, { name, file, from, to, test }: Mutant): string {
	// Without its test, each mutant would look as if it were caught.
	if (test !== undefined && !existsSync(join(tree, test))) throw new Error(`"${name}": there is no ${test}`);
	const parts: string[] = readFileSync(join(tree, file), "utf8").split(from);
	if (parts.length !== 2) throw new Error(`"${name}": found ${parts.length - 1} times in ${file}, not once`);
	return parts.join(to);
}

/** Checks that all mutants match the sources. Returns a remark. */
export function checkMutants(): string {
	for (const mutant of mutants) mutate(root, mutant);
	return `${mutants.length} match the sources`;
}
