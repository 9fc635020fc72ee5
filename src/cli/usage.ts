/**
 * The texts of `--help`.
 *
 * @module
 */

import type { TaskState } from "../basket/store.ts";
import type { CommandName } from "./terminal.ts";

/** What is known of a command. */
export interface CommandHelp {
	/** Which ids it takes. */
	readonly takes: "none" | "one" | "many";
	/** The options of its own. */
	readonly options: readonly string[];
	/** The states that go with its `--all`. */
	readonly all?: readonly TaskState[] | undefined;
	/** What `--help` says. */
	readonly help: string;
}

const common = `
  --db FILE|URL      an SQLite file (or file:…), or postgres://…; default: UPKEEP_DB
  --basket NAME      default: "default"; the jobs of a Processor are in "jobs"
  --tables NAME      what the names of the tables begin with, "upkeep_" by
                     default; in Postgres their schema, by default "upkeep"
  --json             JSON also on a terminal
  --no-color         no colours; NO_COLOR does the same
  -h, --help
`;

/** What `upkeep --help` says. */
export const general: string = `Looks at the tasks of a basket, or the jobs of a processor, and changes them.

  upkeep ls              the tasks, in the order in which they were added
  upkeep show ID         one task whole; a job with its steps
  upkeep counts          how many there are in each state
  upkeep watch           the counts and what fails, live, until Ctrl-C
  upkeep retry ID…       dead tasks anew, waiting ones at once
  upkeep hold ID…        keeps tasks from being run
  upkeep release ID…     undoes a hold
  upkeep rm ID…          removes tasks
  upkeep help COMMAND    the options of a command
  upkeep --version
${common}
On a terminal it prints tables, elsewhere JSON: one object in all, or a line for
each task (ls, and those that change something) or each change (watch). Instants
in JSON are milliseconds since 1970. It never creates or migrates a database.

Exit codes
  0  done
  1  failed: the database cannot be reached, or the change does not apply
  2  wrong usage
  3  there is no such task
`;

const filters = `
  --state STATE      only waiting, running, held, dead or done ones
  --kind KIND        only tasks of this kind; of jobs: only this definition`;

const every = (states: readonly string[]) => `
  --all              instead of ids: all in the state, and of the kind if given
  --state STATE      with --all: ${states.join(", ")}
  --kind KIND        with --all
  -y, --yes          with --all: does not ask; needed where nobody can be asked
`;

const halfDone = `  --half-done        removes jobs that have done some of their steps, too, which
                     reverts nothing; without it a terminal asks, and a program
                     leaves them
`;

/** By name. */
export const commands: Readonly<Record<CommandName, CommandHelp>> = {
	ls: {
		takes: "none",
		options: ["state", "kind", "limit", "after"],
		help: `upkeep ls: the tasks, in the order in which they were added; as JSON lines.
${filters}
  --limit N          at most so many; default: 50
  --after KEY        only those behind this one: the "key" of a task in JSON,
                     which is also shown below a table that was cut
${common}`,
	},
	show: {
		takes: "one",
		options: [],
		help: `upkeep show ID: everything that is stored of a task; of a job its steps.
${common}`,
	},
	counts: { takes: "none", options: [], help: `upkeep counts: how many tasks there are in each state.\n${common}` },
	watch: {
		takes: "none",
		options: ["kind", "interval"],
		help: `upkeep watch: the counts and the latest failures, live, until Ctrl-C; as JSON a
line for each change.

It looks at the last tasks that are dead, the last jobs that were reverted, and
the tasks that wait: the first ones each time, the others a thousand at a time.

  --kind KIND        only failures of this kind
  --interval N       looks at most every so many seconds; default: 1
${common}`,
	},
	retry: changing("retry", "dead tasks begin anew, waiting ones are due at once", [
		"dead",
		"waiting",
	]),
	hold: changing("hold", "keeps tasks from being run; what runs goes on", [
		"waiting",
		"running",
	]),
	release: changing("release", "undoes a hold", ["held"]),
	rm: changing("rm", "removes tasks; a running one loses its claim", [
		"waiting",
		"running",
		"held",
		"dead",
		"done",
	], halfDone),
};

function changing(name: string, what: string, all: readonly TaskState[], more = ""): CommandHelp {
	const help = `upkeep ${name} ID…: ${what}.\n${every(all)}${more}${common}`;
	return { takes: "many", options: ["all", "state", "kind", "yes", ...(more === "" ? [] : ["half-done"])], all, help };
}
