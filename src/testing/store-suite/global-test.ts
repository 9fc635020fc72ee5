/**
 * The default function that registers tests.
 *
 * @module
 */

type Test = (title: string, body: () => Promise<void>) => unknown;

/** The global function of Vitest, Jest, Mocha or Deno, if any. */
export function globalTest(): Test | undefined {
	const { test, it, Deno } = globalThis as { test?: Test; it?: Test; Deno?: { test?: Test } };
	return test ?? it ?? Deno?.test;
}
