/**
 * The name of a thrown value. It identifies errors whose class may come from another build of this library, or from
 * another realm.
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
