/**
 * Runs a command line and returns its exit code.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import type { Store } from "../basket/store.ts";
import { readArguments } from "./arguments.ts";
import { change } from "./change.ts";
import { counts, list } from "./list.ts";
import { cancel, signal } from "./messages.ts";
import { openStore } from "./open.ts";
import { pause } from "./pause.ts";
import { note, openTerminal } from "./process.ts";
import { schedules } from "./schedules.ts";
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
	clear: change,
	pause,
	resume: pause,
	schedules,
	cancel,
	signal,
};

/** Runs the command; resolves with the exit code. */
export async function main(args: readonly string[]): Promise<ExitCode> {
	try {
		const read = readArguments(args, process.env);
		if (read.type === "help") return await print(read.text);
		if (read.type === "version") return await print(`${readVersion()}\n`);
		return await run(read.request, read.isJson, read.hasColours);
	} catch (error) {
		// The error of a driver may have no message of its own, only those of the addresses that were tried.
		const { message, code } = error as Error & { code?: unknown };
		process.stderr.write(`upkeep: ${clean(message || String(code ?? error))}\n`);
		return error instanceof Failure ? error.code : 1;
	}
}

function print(text: string): Promise<0> {
	return new Promise((resolve) => process.stdout.write(text, () => resolve(0)));
}

/** Reads the `package.json` of the package, which is beside `dist/` or above `src/`. */
function readVersion(): string {
	for (const path of ["../package.json", "../../package.json"]) {
		try {
			const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
			if (name === "upkeep") return version;
		} catch {
			// Try the other place. In a registry without that file, there is none.
		}
	}
	throw new Failure(1, "The version is unknown, because the package has no package.json");
}

async function run(request: Request, isJson: boolean, hasColours: boolean): Promise<ExitCode> {
	const isLive = request.command === "watch";
	let isScreen = false;
	// A live screen has no room for notes. Until the store is open, Ctrl-C ends the process.
	const { store, close } = await openStore(request, (text) => isScreen || note(text));
	const terminal = openTerminal({ isJson, hasColours, isLive, isGraceful: isLive || request.isAll });
	isScreen = isLive && terminal.isTable;
	try {
		return await commands[request.command](store, request, terminal);
	} finally {
		terminal.close();
		await close();
	}
}
