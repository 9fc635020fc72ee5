/**
 * Text that a database stores unchanged.
 *
 * @module
 */

/** The prefix of text that is stored as JSON: a noncharacter, which is stored like a character. The next one marks bytes in Postgres. */
const escaped = "\ufdd0";

/**
 * Encodes text. Text that a database or a driver would refuse or change (with NUL or lone surrogates, or with one of the prefixes)
 * is stored as JSON, which can escape these.
 */
export function encodeText(text: string): string {
	return /^[\ufdd0\ufdd1]|\0|\p{Surrogate}/u.test(text) ? escaped + JSON.stringify(text) : text;
}

/** Undoes {@link encodeText}. Returns `undefined` for an invalid text. */
export function decodeText(text: string): string | undefined {
	if (text[0] !== escaped) return text;
	try {
		const value: unknown = JSON.parse(text.slice(1));
		return typeof value === "string" ? value : undefined;
	} catch {
		return undefined;
	}
}
