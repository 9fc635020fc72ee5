/**
 * Variants of a kind, such as the versions of a job: their names begin with that of the kind. Claims and limits treat each
 * one as a kind of its own. Lists and pauses of the kind concern its variants, too.
 *
 * @module
 */

/** What stands between the name of a kind and that of its variant. */
export const variantMark = "\u001f";

/** Whether a kind is another one, or a variant of it. */
export function isOfKind(kind: string, other: string): boolean {
	return kind === other || kind.startsWith(other + variantMark);
}

/** The kind without its variant. */
export function baseOf(kind: string): string {
	const end = kind.indexOf(variantMark);
	return end < 0 ? kind : kind.slice(0, end);
}
