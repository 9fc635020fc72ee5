/**
 * Runs a command line and returns its exit code.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import type { Store } from "../basket/store.ts";
import { sleep, systemClock } from "../platform/clock.ts";
import { readArguments } from "./arguments.ts";
import { baskets, noteBaskets } from "./baskets.ts";
import { change } from "./change.ts";
import { counts, list } from "./list.ts";
import { cancel, signal } from "./messages.ts";
import { isReading, openStore } from "./open.ts";
import { pause } from "./pause.ts";
import { note, openTerminal } from "./process.ts";
import { schedules } from "./schedules.ts";
import { serve } from "./serve.ts";
import { show } from "./show.ts";
import {
	type Catalog,
	type CommandName,
	databaseName,
	type ExitCode,
	exitCodeOf,
	Failure,
	type Request,
	type Terminal,
} from "./terminal.ts";
import { clean, duration } from "./text.ts";
import { Vigil } from "./vigil.ts";
import { watch } from "./watch.ts";
import { why } from "./why.ts";

type Command = (store: Store, request: Request, terminal: Terminal, catalog: Catalog) => Promise<ExitCode>;

const commands: Readonly<Record<CommandName, Command>> = {
	baskets,
	ls: list,
	show,
	why,
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
	serve,
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
		return exitCodeOf(error);
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
	const name = databaseName(request.db);
	const isLive = request.command === "watch";
	let isScreen = false;
	// A live screen has no room for notes, and says itself what it waits for.
	const isServer = request.command === "serve";
	const vigil = new Vigil({
		name,
		isLive: isLive || isServer,
		clock: systemClock,
		note: (text) => isScreen || note(text),
	});
	const work = async () => {
		// Until the store is open, Ctrl-C ends the process.
		const opened = await vigil.during("connect", () => openStore(request, (explain) => vigil.explain = explain));
		const inner = openTerminal({
			isJson,
			hasColours,
			isLive,
			isGraceful: isLive || request.isAll || isServer,
		});
		const terminal = withVigil(inner, vigil);
		isScreen = isLive && terminal.isTable;
		const catalog = vigil.watched(opened.catalog);
		try {
			const code = await commands[request.command](vigil.watched(opened.store), request, terminal, catalog);
			if (code === 3) await noteBaskets(opened.store, catalog, request, terminal);
			return code;
		} catch (error) {
			if (exitCodeOf(error) === 3) await noteBaskets(opened.store, catalog, request, terminal);
			throw error;
		} finally {
			inner.close();
			await opened.close();
		}
	};
	try {
		return await intime(work(), request, name);
	} finally {
		vigil.end();
	}
}

/** A terminal whose output the vigil hears. */
function withVigil(terminal: Terminal, vigil: Vigil): Terminal {
	const heard = <Args extends unknown[], Result>(write: (...args: Args) => Result) => (...args: Args): Result => {
		vigil.heard();
		return write(...args);
	};
	return Object.create(terminal, {
		print: { value: heard((text: string) => vigil.pause(() => terminal.print(text))) },
		note: { value: heard((text: string) => terminal.note(text)) },
		ask: { value: (question: string) => vigil.pause(() => terminal.ask(question)) },
	});
}

/** Rejects when the time of the command is over. The process ends then, whatever is still under way. */
async function intime<T>(work: Promise<T>, { timeout, command }: Request, name: string): Promise<T> {
	if (timeout === Infinity) return await work;
	const ended = new AbortController();
	const late = sleep(timeout, { signal: ended.signal }).then(() => {
		const doubt = isReading(command) ? "" : "; what it has changed by now stays changed";
		throw new Failure(4, `${command} was not done with ${name} within ${duration(timeout)}${doubt}`);
	});
	try {
		return await Promise.race([work, late]);
	} finally {
		ended.abort();
		late.catch(() => {});
	}
}
