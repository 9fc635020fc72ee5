/**
 * The function that registers tests where none is given.
 *
 * @module
 */

type Test = (title: string, body: () => Promise<void>) => unknown;

/** That of Vitest, Jest, Mocha or Deno, if it is global. */
export function globalTest(): Test | undefined {
	const { test, it, Deno } = globalThis as { test?: Test; it?: Test; Deno?: { test?: Test } };
	return test ?? it ?? Deno?.test;
}
