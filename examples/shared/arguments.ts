/** The common part of the command lines of the examples. */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { line } from "./words.ts";

/** A mistake in the command line. The message is one line. */
export class UsageError extends Error {}

/** `parseArgs` of Node, with errors of one line. */
export function parseOptions<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
	try {
		return parseArgs(config);
	} catch (error) {
		throw new UsageError(`${line((error as Error).message.split(/[.\n]/)[0]!)}; --help lists the options`);
	}
}
