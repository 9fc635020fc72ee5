/** The command line, as far as all examples have it in common. */

import { parseArgs, type ParseArgsConfig } from "node:util";
import { line } from "./words.ts";

/** Something that the user has to put right; the message is one line. */
export class UsageError extends Error {}

/** `parseArgs` of Node, with a complaint of one line. */
export function parseOptions<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
	try {
		return parseArgs(config);
	} catch (error) {
		throw new UsageError(`${line((error as Error).message.split(/[.\n]/)[0]!)}; --help lists the options`);
	}
}
