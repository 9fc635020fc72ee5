/**
 * What something that was thrown is called. Classes are told apart by it where the one that was thrown may be of another
 * build of this library, or of another realm.
 *
 * @module
 */

/** Its `name`, if it has one that can be read. */
export function nameOf(thrown: unknown): unknown {
	try {
		return (thrown as Error).name;
	} catch {
		return undefined; // of `undefined`, of a proxy that was revoked
	}
}
