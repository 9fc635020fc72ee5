/** The configuration: what it is, and how it is read from a file, whose place the command line may take in part. */

import { type BackoffOptions, Runner, type RunnerOptions } from "../../mod.ts";
import { UsageError } from "../shared/arguments.ts";
import { checkUrl } from "./arguments.ts";

export interface Config {
	readonly urls: readonly string[];
	/** From the end of one check to the next, in milliseconds. */
	readonly interval: number;
	/** How each check is tried. */
	readonly retry: RunnerOptions;
}

/** What the file may have. */
export interface ConfigFile {
	urls?: string[];
	interval?: number;
	timeout?: number;
	attempts?: number;
	backoff?: number | BackoffOptions;
}

const defaults = {
	urls: [],
	interval: 10_000,
	timeout: 5_000,
	attempts: 3,
	backoff: { start: 500, factor: 2, max: 10_000, jitter: "full" },
} satisfies ConfigFile;

/** Reads the text of a configuration file: a lifecycle's `readConfig`. What the command line says comes first. */
export function toConfig(data: unknown, given: { urls: readonly string[]; overrides: ConfigFile }): Config {
	const file: ConfigFile = checkKeys(JSON.parse(String(data)));
	const { urls: listed, interval, ...retry } = { ...defaults, ...file, ...given.overrides };
	if (!Array.isArray(listed)) throw new UsageError(`"urls" must be a list`);
	const urls = [...new Set([...given.urls, ...listed.map(checkUrl)])];
	if (urls.length === 0) throw new UsageError("there is no URL to watch");
	if (!(Number.isFinite(interval) && interval > 0)) {
		throw new UsageError(`"interval" must be a number of milliseconds above 0`);
	}
	new Runner(() => {}, retry); // throws what the spawn of a task would throw later
	return { urls, interval, retry };
}

function checkKeys(value: unknown): ConfigFile {
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		throw new UsageError("the configuration must be a JSON object");
	}
	const unknown = Object.keys(value).find((key) => !(key in defaults));
	if (unknown !== undefined) {
		throw new UsageError(`${JSON.stringify(unknown)} is no setting, only ${Object.keys(defaults).join(", ")} are`);
	}
	return value;
}
