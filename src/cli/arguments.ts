/**
 * Reads the command line, and says what is wrong with it.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { TaskState } from "../basket/store.ts";
import { type CommandName, Failure, type Outcome, quote, type Request } from "./terminal.ts";
import { clean } from "./text.ts";
import { type CommandHelp, commands, general } from "./usage.ts";

/** A valid command line. */
export type Arguments =
	| { readonly type: "help"; readonly text: string }
	| { readonly type: "version" }
	| { readonly type: "request"; readonly request: Request; readonly isJson: boolean; readonly hasColours: boolean };

const text = { type: "string" } as const;
const flag = { type: "boolean", default: false } as const;
const options = {
	...{
		db: text,
		basket: text,
		tables: text,
		state: text,
		kind: text,
		lane: text,
		prefix: text,
		parent: text,
		after: text,
		outcome: text,
		text,
	},
	...{ port: text, jobs: text },
	...{ limit: text, interval: text, from: text, timeout: text },
	...{
		newest: flag,
		long: { ...flag, short: "l" },
		all: flag,
		yes: { ...flag, short: "y" },
		"half-done": flag,
		json: flag,
		write: flag,
		"no-color": flag,
		help: { ...flag, short: "h" },
	},
	version: flag,
} as const;

const outcomes: readonly string[] = ["completed", "reverted", "failed"] satisfies Outcome[];
const states: readonly string[] = ["waiting", "running", "held", "dead", "done"] satisfies TaskState[];

/** Options of a single command. All others go with every command. */
const special = [
	...[
		"state",
		"kind",
		"lane",
		"prefix",
		"parent",
		"outcome",
		"text",
		"long",
		"newest",
		"after",
		"limit",
		"interval",
		"all",
		"yes",
		"half-done",
		"from",
		"port",
		"jobs",
		"write",
	] as const,
];
/** The options that select tasks. */
const filters = ["state", "outcome", "kind", "lane", "prefix", "parent", "text"] as const;

type Values = ReturnType<typeof parse>["values"];

/**
 * Reads the command line.
 *
 * @throws {Failure} with the code 2 if the command line is wrong
 */
export function readArguments(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Arguments {
	const { values, positionals: [name, ...rest] } = parse(args);
	if (name === "help") return { type: "help", text: helpOf(rest[0]) };
	if (values.help) return { type: "help", text: helpOf(name) };
	if (values.version) return { type: "version" };
	const command = toCommand(name);
	refuseOthers(command, values);
	if ((command === "watch" || command === "serve") && values.timeout !== undefined) {
		throw wrong(`--timeout does not go with ${command}`);
	}
	const takesKind = commands[command].takes === "kind";
	const ids = takesKind ? [] : checkIds(command, rest, values);
	if (command === "clear") checkClear(values);
	const request: Request = {
		command,
		ids,
		db: toDatabase(values.db ?? env["UPKEEP_DB"]),
		tables: values.tables,
		basket: values.basket ?? (isForJobs(command, values) ? "jobs" : "default"),
		state: toState(values.state),
		kind: takesKind ? toKind(command, rest) : values.kind,
		lane: values.lane,
		prefix: toPrefix(values.prefix),
		parent: toParent(values.parent),
		outcome: toOutcome(values.outcome),
		text: toText(values.text),
		isLong: values.long,
		isNewest: values.newest,
		after: values.after,
		limit: toNumber(
			"limit",
			values.limit ?? "50",
			(number) => Number.isSafeInteger(number) && number > 0,
			"a whole number from 1",
		),
		isAll: values.all || command === "clear",
		isSure: values.yes,
		takesHalfDone: values["half-done"],
		from: toFrom(values),
		port: toNumber(
			"port",
			values.port ?? "0",
			(number) => Number.isInteger(number) && number >= 0 && number < 65_536,
			"a whole number from 0 to 65535",
		),
		jobs: values.jobs ?? "jobs",
		mayWrite: values.write,
		interval: 1_000 *
			toNumber(
				"interval",
				values.interval ?? "1",
				(number) => number >= 0.05 && number <= 86_400,
				"seconds, at least 0.05",
			),
		timeout: values.timeout === undefined ? Infinity : 1_000 *
			toNumber(
				"timeout",
				values.timeout,
				(number) => number > 0 && number <= 86_400,
				"seconds, more than 0",
			),
	};
	return { type: "request", request, isJson: values.json, hasColours: !values["no-color"] && !env["NO_COLOR"] };
}

function parse(args: readonly string[]) {
	try {
		return parseArgs({ args: joinNegative(args), options, allowPositionals: true });
	} catch (error) {
		throw wrong(clean((error as Error).message.split(/\.\s|\n/)[0]!));
	}
}

/** Joins `--limit -1`: `parseArgs` would take it for an option without a value, instead of a wrong number. */
function joinNegative(args: readonly string[]): string[] {
	const joined: string[] = [];
	for (const argument of args) {
		const isValue = /^-\d/.test(argument) && /^--(limit|interval|timeout)$/.test(joined.at(-1) ?? "");
		if (isValue) joined.push(`${joined.pop()}=${argument}`);
		else joined.push(argument);
	}
	return joined;
}

function helpOf(name: string | undefined): string {
	return name === undefined ? general : commands[toCommand(name)].help;
}

function toCommand(name: string | undefined): CommandName {
	if (name === undefined) throw wrong(`No command given; the commands are ${Object.keys(commands).join(", ")}`);
	if (Object.hasOwn(commands, name)) return name as CommandName;
	throw wrong(`Unknown command ${quote(name)}; the commands are ${Object.keys(commands).join(", ")}`);
}

function refuseOthers(command: CommandName, values: Values): void {
	const { options: allowed }: CommandHelp = commands[command];
	for (const name of special) {
		const isGiven = values[name] !== undefined && values[name] !== false;
		if (isGiven && !allowed.includes(name)) throw wrong(`--${name} does not go with ${command}`);
	}
}

/** A command that changes something must name its tasks. */
function checkIds(command: CommandName, ids: readonly string[], values: Values): readonly string[] {
	const { all, state, outcome, from, yes } = values;
	const { takes, all: suitable = [] }: CommandHelp = commands[command];
	if (takes === "none" && ids.length > 0) throw wrong(`${command} takes no ids: ${quote(ids[0]!)}`);
	if (takes === "one" && ids.length !== 1) throw wrong(`${command} takes one id`);
	if (takes === "jobs" && ids.length === 0) throw wrong(`${command} takes ids`);
	const isSignal = ids.length === 2 || ids.length === 3;
	if (takes === "signal" && !isSignal) throw wrong(`${command} takes an id, the name of a step, and perhaps a value`);
	if (takes !== "many") return ids;
	if (!all && ids.length === 0) throw wrong(`${command} takes ids, or --all --state ${suitable.join("|")}`);
	if (!all && (yes || isFiltered(values))) throw wrong(`${list(filters)} and --yes of ${command} go with --all`);
	if (all && ids.length > 0) throw wrong(`${command} takes ids or --all, not both`);
	if (all && from !== undefined) {
		if (outcome === undefined) throw wrong("--from goes with ids, or with --all --outcome");
		return ids;
	}
	if (command === "retry" && outcome !== undefined) throw wrong("--outcome of retry goes with --from");
	if (all && outcome === undefined && !suitable.includes(state as TaskState)) {
		throw wrong(`${command} --all takes --state ${suitable.join("|")}`);
	}
	return ids;
}

function list(names: readonly string[]): string {
	return names.map((name) => `--${name}`).join(", ");
}

function isFiltered(values: Values): boolean {
	return filters.some((name) => values[name] !== undefined);
}

/** A forgotten option must not remove all tasks. */
function checkClear(values: Values): void {
	if (!values.all && !isFiltered(values)) {
		throw wrong(`clear takes one of ${list(filters)}, or --all for all tasks of the basket`);
	}
	if (values.all && isFiltered(values)) {
		throw wrong(`clear takes --all without ${list(filters)}`);
	}
}

function toKind(command: CommandName, [kind, ...rest]: readonly string[]): string | undefined {
	if (rest.length > 0) throw wrong(`${command} takes one kind, or none for all kinds`);
	if (kind === "") throw wrong(`${command} takes a kind that is not empty`);
	return kind;
}

function toPrefix(prefix: string | undefined): string | undefined {
	if (prefix === undefined || /^[^_]/.test(prefix)) return prefix;
	throw wrong(`--prefix takes the beginning of a given id, which is not empty and has no "_" first`);
}

function toParent(parent: string | undefined): string | undefined {
	if (parent !== "") return parent;
	throw wrong("--parent takes the id of a job, which is not empty");
}

function toDatabase(db: string | undefined): string {
	if (db) return /^file:/i.test(db) ? toPath(db) : db;
	throw wrong("Which database? Give --db FILE or --db postgres://…, or set UPKEEP_DB");
}

/** The path in a URL as SQLite's tools take it: `file:tasks.db` or `file:///srv/tasks.db`. Parameters are ignored. */
function toPath(url: string): string {
	try {
		return /^file:\/\//i.test(url) ? fileURLToPath(url) : decodeURIComponent(url.slice(5).replace(/[?#].*$/s, ""));
	} catch (error) {
		throw wrong(`--db is not a valid file URL: ${clean((error as Error).message)}`);
	}
}

function toState(state: string | undefined): TaskState | undefined {
	if (state === undefined || states.includes(state)) return state as TaskState | undefined;
	throw wrong(`--state takes ${states.join(", ")}, not ${quote(state)}`);
}

function toOutcome(outcome: string | undefined): Outcome | undefined {
	if (outcome === undefined || outcomes.includes(outcome)) return outcome as Outcome | undefined;
	throw wrong(`--outcome takes ${outcomes.join(", ")}, not ${quote(outcome)}`);
}

function toText(text: string | undefined): string | undefined {
	if (text !== "") return text?.toLowerCase();
	throw wrong("--text takes a text that is not empty");
}

function isForJobs(command: CommandName, { from, parent }: Values): boolean {
	return ["jobs", "signal"].includes(commands[command].takes) || from !== undefined || parent !== undefined;
}

function toFrom({ from }: Values): "failure" | "start" | undefined {
	if (from === undefined || from === "failure" || from === "start") return from;
	throw wrong(`--from takes failure or start, not ${quote(from)}`);
}

function toNumber(name: string, value: string, isAllowed: (number: number) => boolean, rule: string): number {
	const number = value.trim() === "" ? NaN : Number(value);
	if (isAllowed(number)) return number;
	throw wrong(`--${name} takes ${rule}, not ${quote(value)}`);
}

function wrong(message: string): Failure {
	return new Failure(2, `${message} (see --help)`);
}
