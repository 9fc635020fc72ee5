/**
 * The names of branches: lists as text, such as `["book","flight"]`.
 *
 * @module
 */

/** The name of a branch in the plan. */
export function branchName(group: string, branch: string): string {
	return JSON.stringify([group, branch]);
}

/** The names of a group and its branch; `undefined` for a step by itself. */
export function branchOf(name: string): readonly [group: string, branch: string] | undefined {
	return name.startsWith("[") ? JSON.parse(name) as readonly [string, string] : undefined;
}
