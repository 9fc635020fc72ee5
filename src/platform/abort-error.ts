/**
 * The default reason of an abort.
 *
 * @module
 */

/** Like the default reason of `AbortController.abort()`, but with a message that says what was aborted. */
export function abortError(text: string): DOMException {
	return new DOMException(text, "AbortError");
}
