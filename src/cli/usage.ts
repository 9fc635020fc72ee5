/**
 * The texts of `--help`.
 *
 * @module
 */

import type { TaskState } from "../basket/store.ts";
import type { CommandName } from "./terminal.ts";

/** The usage of a command. */
export interface CommandHelp {
	/** How many ids it takes. */
	readonly takes: "none" | "one" | "many" | "kind" | "jobs" | "signal";
	/** The options of this command. */
	readonly options: readonly string[];
	/** The states that its `--all` takes. */
	readonly all?: readonly TaskState[] | undefined;
	/** The text of its `--help`. */
	readonly help: string;
}

const common = `
  --db FILE|URL      an SQLite file, file:… or postgres://…; default: UPKEEP_DB
  --basket NAME      default: "default", and "jobs" for cancel, signal and
                     --parent; the jobs of a Processor are in "jobs"
  --tables NAME      the prefix of the tables, default: "upkeep_"; in Postgres
                     their schema, default: "upkeep"
  --timeout N        gives up after so many seconds, with the exit code 4;
                     not for watch and serve
  --json             JSON, even on a terminal
  --no-color         no colors; NO_COLOR has the same effect
  -h, --help
`;

/** The text of `upkeep --help`. */
export const general: string = `Shows and changes the tasks of a basket or the jobs of a processor.

  upkeep baskets         the baskets of the database, with their counts
  upkeep ls              lists the tasks in the order in which they were added
  upkeep show ID         everything about one task, with its attempts; a job
                         with its steps and the numbers of its children
  upkeep why ID          why a task does not run
  upkeep counts          the number of tasks in each state, and what is paused
  upkeep schedules       the recurring tasks and their next instants
  upkeep watch           counts, rates, waits, what runs and what fails, live,
                         until Ctrl-C
  upkeep retry ID…       starts dead tasks anew, waiting ones at once, and with
                         --from jobs that have ended
  upkeep hold ID…        keeps tasks from running
  upkeep release ID…     undoes a hold
  upkeep rm ID…          removes tasks
  upkeep clear           removes all tasks of a state, kind, lane or prefix
  upkeep pause [KIND]    no process begins a task of the kind, or of any kind
  upkeep resume [KIND]   undoes a pause
  upkeep cancel ID…      reverts jobs
  upkeep signal ID NAME [VALUE]
                         sends a value to the step of a job that waits for it
  upkeep serve           a page for the browser that shows all of this, until Ctrl-C
  upkeep help COMMAND    shows the options of a command
  upkeep --version
${common}
On a terminal the output is a table, otherwise JSON: one object, or one line for
each task (ls, retry, hold, release, rm, cancel), basket (baskets) or change (watch).
Instants in JSON are milliseconds since 1970. No command creates or migrates a
database. A command that waits for the database says so after two seconds, on the
error output.

Exit codes
  0  done
  1  failed: the database cannot be used, the change does not apply to a task, or
     a question was not answered with yes
  2  wrong usage
  3  nothing found: no such task, no task that the options select, or no task in
     the basket
  4  the database cannot be reached, is locked, or has not answered in time: the
     same command may succeed later
`;

const filters = `
  --state STATE      only waiting, running, held, dead or done tasks
  --kind KIND        only tasks of this kind; for jobs: only this definition,
                     of all versions
  --lane LANE        only tasks in this lane
  --prefix TEXT      only tasks whose given ids begin with this text
  --parent ID        only children of this job, which are left out otherwise
  --outcome OUTCOME  only what has ended so: completed, reverted or failed; a dead
                     task has failed, and a job that is done may have any outcome
  --text TEXT        only tasks with this text in their id, kind, lane, payload,
                     error or result, in upper or lower case. With this and
                     --outcome, all tasks that the other options select are read`;

const every = (states: readonly string[]) => `
  --all              instead of ids: all tasks that these options select:
  --state STATE      with --all: ${states.join(", ")}
  --kind KIND        with --all, and also --lane LANE, --prefix TEXT, --parent ID,
                     --text TEXT
  -y, --yes          with --all: does not ask; needed without a terminal
`;

const outcome = `  --outcome OUTCOME  with --all, instead of --state: completed, reverted or failed
`;

const halfDone = `  --half-done        also removes jobs that have done some of their steps, and
                     children that their parent still needs; nothing of it is
                     reverted. Without this option, they are removed only if
                     a terminal confirms it
`;

const from = `  --from failure     jobs that have failed go on where they failed: the step gets
                     its attempts again, or the reverts go on; reverted ones
                     begin anew
  --from start       jobs that have ended begin anew, with the same input and the
                     steps that they were added with

"retry --all --outcome failed --from failure" takes all jobs that have failed.
With --from, the default of --basket is "jobs", and the Processor must use JSON,
which is its default.
`;

const changingOptions = ["all", "state", "kind", "lane", "prefix", "parent", "text", "yes"];

/** The usage of each command. */
export const commands: Readonly<Record<CommandName, CommandHelp>> = {
	baskets: {
		takes: "none",
		options: [],
		help: `upkeep baskets: the baskets that have tasks, with the number of tasks in each state,
since when the oldest due task has been due, the kinds, and whether there are jobs
among them; as JSON lines. A basket without tasks is not in the database.
${common}`,
	},
	ls: {
		takes: "none",
		options: [
			...["state", "outcome", "kind", "lane", "prefix", "parent", "text"],
			...["newest", "long", "limit", "after"],
		],
		help: `upkeep ls: lists the tasks in the order in which they were added; as JSON lines.
${filters}
  --newest           the task that was added last comes first
  -l, --long         a table with instants, and with the last attempt of each task:
                     when it began, how long it took, and which worker made it
  --limit N          the maximum number of tasks; default: 50
  --after KEY        only tasks after this "key" of a task in the JSON output;
                     a table that reaches the limit shows it, too
${common}`,
	},
	show: {
		takes: "one",
		options: [],
		help: `upkeep show ID: everything that is stored about a task, with its last attempts: when
they began and ended, which worker made them, and their errors; the steps of a job,
and how many children each of them has. "upkeep ls --parent ID" lists these.
${common}`,
	},
	why: {
		takes: "one",
		options: [],
		help: `upkeep why ID: why a task does not run, as far as the database tells: it is held or
paused, is not due, waits for a message, is behind another task of its lane or behind
a limit, runs already, or has ended. If nothing keeps it back, no worker with room for
its kind seems to run; pauses and gates of a single process are not in the database.
${common}`,
	},
	counts: {
		takes: "none",
		options: [],
		help: `upkeep counts: the number of tasks in each state, and what is paused. Children of
jobs count, too.\n${common}`,
	},
	watch: {
		takes: "none",
		options: ["kind", "interval"],
		help: `upkeep watch: live, until Ctrl-C; as JSON one line for each change.

  - the tasks in each state, and by how much these numbers have changed per minute;
    finished tasks leave the database, so this is not what was done
  - how many attempts per minute were seen to begin and to fail; an attempt that is
    shorter than the time between two looks may not be seen
  - for how long the oldest due task has been waiting, and the kinds that have failed
    most: dead tasks, and attempts that were seen to fail
  - the tasks that have been running for the longest time, and on which workers
  - the latest failures, and when they happened

Each look counts all tasks, and reads the running tasks, the last dead tasks, the last
reverted jobs, the first waiting tasks, and a thousand of the other waiting tasks. A job
stands for its children.

  --kind KIND        only failures and running tasks of this kind
  --interval N       the least time between two looks, in seconds; default: 1
${common}`,
	},
	retry: changing(
		"retry",
		"dead tasks start anew, waiting ones become due at once",
		["dead", "waiting"],
		outcome + from,
		[
			"outcome",
			"from",
		],
	),
	hold: changing("hold", "keeps tasks from running; a running attempt continues", [
		"waiting",
		"running",
	]),
	release: changing("release", "undoes a hold", ["held"]),
	rm: changing(
		"rm",
		"removes tasks; a running task loses its claim",
		[
			"waiting",
			"running",
			"held",
			"dead",
			"done",
		],
		outcome + halfDone,
		["outcome", "half-done"],
	),
	clear: {
		takes: "none",
		options: ["state", "outcome", "kind", "lane", "prefix", "parent", "text", "all", "yes", "half-done"],
		help: `upkeep clear: removes all tasks that the options select; running tasks lose their
claims. It shows how many they are, and asks.
${filters}
  --all              instead of these: all tasks of the basket
  -y, --yes          does not ask; needed without a terminal
${halfDone}${common}`,
	},
	schedules: {
		takes: "none",
		options: ["kind"],
		help: `upkeep schedules: the recurring tasks and their next instants; as JSON lines.

They are tasks: "upkeep hold schedule:NAME" pauses one, "release" undoes that,
"retry" makes it run now, and "rm" ends it.

  --kind KIND        only schedules of this kind
${common}`,
	},
	serve: {
		takes: "none",
		options: ["port", "jobs", "write"],
		help: `upkeep serve: shows the tasks and the jobs of the database as a page for the browser,
until Ctrl-C. Only this machine can open it, at an address that is secret and printed.
Nothing can be changed without --write.

  --port N           the port; default: any free one
  --jobs NAME        the basket with the jobs of a Processor; default: "jobs"
  --write            the page can retry, hold, release, delete, pause, cancel …
${common}`,
	},
	cancel: {
		takes: "jobs",
		options: [],
		help: `upkeep cancel ID…: reverts jobs. The signal of a running step aborts, and a process
that runs these jobs undoes what is done.
${common}`,
	},
	signal: {
		takes: "signal",
		options: [],
		help: `upkeep signal ID NAME [VALUE]: sends a value, as JSON, to the step with this name of
a job, which waits for it now or later. The first value counts.

The Processor must use JSON, which is its default.
${common}`,
	},
	pause: pausing(
		"pause",
		"no process begins a task of this kind until resume, or of any kind\nif none is given; running tasks continue",
	),
	resume: pausing(
		"resume",
		"undoes a pause of this kind, or of all kinds if none is given; the\ntwo pauses are independent",
	),
};

function pausing(name: string, what: string): CommandHelp {
	const help = `upkeep ${name} [KIND]: ${what}.\n\nFor jobs, KIND is the name of a definition.\n${common}`;
	return { takes: "kind", options: [], help };
}

function changing(
	name: string,
	what: string,
	all: readonly TaskState[],
	more = "",
	options: readonly string[] = [],
): CommandHelp {
	const help = `upkeep ${name} ID…: ${what}.\n${every(all)}${more}${common}`;
	return { takes: "many", options: [...changingOptions, ...options], all, help };
}
