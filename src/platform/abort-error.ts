/**
 * The reason of an abort that was given none.
 *
 * @module
 */

/** Like the reason that `AbortController.abort()` makes, but it can say who aborted. */
export function abortError(text: string): DOMException {
	return new DOMException(text, "AbortError");
}
