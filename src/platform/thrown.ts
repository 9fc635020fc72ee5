/**
 * The name and the message of a thrown value. The name identifies errors whose class may come from another build of this
 * library, or from another realm.
 *
 * @module
 */

/** The `name`, if there is one that can be read. */
export function nameOf(thrown: unknown): unknown {
	try {
		return (thrown as Error).name;
	} catch {
		return undefined; // for `undefined` or a revoked proxy
	}
}

/** The message of anything that was thrown, without a stack. */
export function messageOf(thrown: unknown): string {
	try {
		return String(Object(thrown).message ?? thrown);
	} catch {
		return "unknown"; // not every value can be converted to a string
	}
}
