/** The command line, and the lists of URLs that it names. */

import { readFile } from "node:fs/promises";
import process from "node:process";
import { text } from "node:stream/consumers";
import { parseOptions, UsageError } from "../shared/arguments.ts";
import { line } from "../shared/words.ts";
import type { ConfigFile } from "./config.ts";

export const usage = `Watches URLs: checks each of them again and again, with retries, and shows how they are doing.

  watch.ts [options] [url…]     "-" reads a list from standard input; without URLs it watches a server of its own

  --file <list>        a file with one URL on each line; "#" begins a comment
  --config <file>      JSON, read again when it changes:
                       { "urls": [], "interval": 10000, "timeout": 5000, "attempts": 3,
                         "backoff": { "start": 500, "factor": 2, "max": 10000, "jitter": "full" } }
  --interval <ms>      from one check of a URL to the next; this and what follows outweighs the file
  --timeout <ms>       for one attempt
  --attempts <n>       how often a check is tried before it has failed
  --rounds <n>         end when every URL was checked so often
  --for <seconds>      end after this time
  --help

In a terminal it shows a table, elsewhere and where CI is set it prints lines. In the table a URL is pending, running,
in a delay before its next attempt, or up or down until its next check. Ctrl-C ends it.
Exit codes: 0, also after Ctrl-C; 2 after bad arguments; 130 after a second Ctrl-C, which does not wait.
`;

export interface Options {
	readonly urls: readonly string[];
	readonly configFile: string | undefined;
	/** What outweighs the configuration file. */
	readonly overrides: ConfigFile;
	readonly rounds: number;
	/** In milliseconds. */
	readonly duration: number;
	readonly isHelp: boolean;
	/** There is nothing to watch but the demo. */
	readonly isDemo: boolean;
}

export async function readArguments(args: string[]): Promise<Options> {
	const { values, positionals } = parse(args);
	const { file, config: configFile } = values;
	const overrides = Object.fromEntries(
		(["interval", "timeout", "attempts"] as const).filter((key) => values[key] !== undefined)
			.map((key) => [key, toNumber(key, values[key]!)]),
	);
	const rounds = toNumber("rounds", values.rounds ?? "Infinity");
	const duration = toNumber("for", values.for ?? "Infinity") * 1000;
	if (configFile === "-") throw new UsageError("--config takes a file, not standard input: it is read again and again");
	const isDemo = positionals.length === 0 && file === undefined && configFile === undefined;
	const urls = values.help ? [] : await readLists([...positionals, ...file === undefined ? [] : [{ file }]]);
	return { urls, configFile, overrides, rounds, duration, isHelp: values.help ?? false, isDemo };
}

/** The contents of a file, or of standard input. */
export async function readText(file: string): Promise<string> {
	try {
		return file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
	} catch (error) {
		const [reason] = (error as Error).message.split(", "); // what follows repeats the name
		throw new UsageError(`cannot read ${JSON.stringify(file)}: ${line(reason!)}`);
	}
}

/** Gives the URL back in its normal form. */
export function checkUrl(text: unknown): string {
	const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
	if (url === undefined || !/^https?:$/.test(url.protocol)) {
		throw new UsageError(`${JSON.stringify(text)} is not an http or https URL`);
	}
	if (url.username || url.password) throw new UsageError(`the URL of ${url.host} has a user name or a password`);
	return url.href;
}

function parse(args: string[]) {
	const value = { type: "string" } as const;
	const numbers = { interval: value, timeout: value, attempts: value, rounds: value, for: value };
	const options = { help: { type: "boolean", short: "h" }, file: value, config: value, ...numbers } as const;
	return parseOptions({ args, options, allowPositionals: true });
}

function toNumber(option: string, text: string): number {
	const number = text.trim() === "" ? NaN : Number(text);
	const isCount = option === "attempts" || option === "rounds";
	if (number > 0 && (!isCount || Number.isInteger(number) || number === Infinity)) return number;
	throw new UsageError(
		`--${option} takes a ${isCount ? "whole number" : "number"} above 0, not ${JSON.stringify(text)}`,
	);
}

async function readLists(sources: readonly (string | { file: string })[]): Promise<string[]> {
	const urls: string[] = [];
	for (const source of sources) {
		if (typeof source === "string" && source !== "-") urls.push(checkUrl(source));
		else urls.push(...await readList(typeof source === "string" ? source : source.file));
	}
	return urls;
}

async function readList(file: string): Promise<string[]> {
	const lines = (await readText(file)).split("\n").map((line) => line.replace(/(^|\s)#.*/, "").trim());
	return lines.filter((line) => line !== "").map(checkUrl);
}
