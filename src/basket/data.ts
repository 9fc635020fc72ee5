/**
 * What stores keep for their callers, encoded.
 *
 * @module
 */

/** An encoded payload. A store returns it unchanged: text as text, bytes as bytes. */
export type Data = string | Uint8Array;
