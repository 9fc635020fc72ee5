/**
 * From the command line to the exit code.
 *
 * @module
 */

import process from "node:process";
import type { Store } from "../basket/store.ts";
import { readArguments } from "./arguments.ts";
import { change } from "./change.ts";
import { counts, list } from "./list.ts";
import { openStore } from "./open.ts";
import { openTerminal } from "./process.ts";
import { show } from "./show.ts";
import { type CommandName, type ExitCode, Failure, type Request, type Terminal } from "./terminal.ts";
import { clean } from "./text.ts";
import { watch } from "./watch.ts";

type Command = (store: Store, request: Request, terminal: Terminal) => Promise<ExitCode>;

const commands: Readonly<Record<CommandName, Command>> = {
	ls: list,
	show,
	counts,
	watch,
	retry: change,
	hold: change,
	release: change,
	rm: change,
};

/** Does what the command line says; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<ExitCode> {
	try {
		const read = readArguments(args, process.env);
		if (read.type === "help") return await new Promise((resolve) => process.stdout.write(read.text, () => resolve(0)));
		return await run(read.request, read.isJson, read.hasColours);
	} catch (error) {
		// A driver's error may have no message of its own, only those of the addresses that it has tried.
		const { message, code } = error as Error & { code?: unknown };
		process.stderr.write(`upkeep: ${clean(message || String(code ?? error))}\n`);
		return error instanceof Failure ? error.code : 1;
	}
}

async function run(request: Request, isJson: boolean, hasColours: boolean): Promise<ExitCode> {
	const isLive = request.command === "watch";
	const { store, close } = await openStore(request);
	const terminal = openTerminal({ isJson, hasColours, isLive, isGraceful: isLive || request.isAll });
	try {
		return await commands[request.command](store, request, terminal);
	} finally {
		terminal.close();
		await close();
	}
}
