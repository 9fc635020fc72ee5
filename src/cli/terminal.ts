/**
 * The types that the commands share: the request, the terminal, and the failure.
 *
 * @module
 */

import type { Store, TaskState } from "../basket/store.ts";
import type { Clock } from "../platform/clock.ts";
import { StoreError } from "../platform/store-error.ts";
import type { KindTasks, StoredGate } from "../stores/sql/sql.ts";
import { clean, type Paint } from "./text.ts";

/**
 * The exit code of the program: done; failed; wrong usage; nothing found; not reachable, or not in time.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

/** The commands. */
export type CommandName =
	| "baskets"
	| "ls"
	| "show"
	| "why"
	| "counts"
	| "watch"
	| "retry"
	| "hold"
	| "release"
	| "rm"
	| "clear"
	| "pause"
	| "resume"
	| "schedules"
	| "cancel"
	| "signal"
	| "serve";

/** How a task or a job has ended: a dead task has failed, and a done one is completed. */
export type Outcome = "completed" | "reverted" | "failed";

/** A checked request. */
export interface Request {
	/** The command. */
	readonly command: CommandName;
	/** The ids of the tasks; none with `isAll`. For `signal`: the id, the name, and perhaps the value. */
	readonly ids: readonly string[];
	/** The file or the URL of the database. */
	readonly db: string;
	/** The prefix or the schema of its tables, if not the default. */
	readonly tables: string | undefined;
	/** The name of the basket. */
	readonly basket: string;
	/** Only tasks in this state. */
	readonly state: TaskState | undefined;
	/** Only tasks of this kind; for `pause` and `resume`, the kind. */
	readonly kind: string | undefined;
	/** Only tasks in this lane. */
	readonly lane: string | undefined;
	/** Only tasks whose ids were given and begin with this text. */
	readonly prefix: string | undefined;
	/** Only children of the job with this id, which are left out otherwise. */
	readonly parent: string | undefined;
	/** Only tasks and jobs that have ended so. */
	readonly outcome: Outcome | undefined;
	/** Only tasks that contain this text, in lower case. */
	readonly text: string | undefined;
	/** Whether a table shows the last attempt of each task. */
	readonly isLong: boolean;
	/** Whether the last tasks come first. */
	readonly isNewest: boolean;
	/** Only tasks after this key. */
	readonly after: string | undefined;
	/** The maximum number of tasks. */
	readonly limit: number;
	/** All tasks that the state, the kind, the lane and the prefix select. */
	readonly isAll: boolean;
	/** Without a question. */
	readonly isSure: boolean;
	/** Whether `rm` also removes jobs that have done some of their steps. */
	readonly takesHalfDone: boolean;
	/** Where jobs go on that `retry` makes go on, if they have ended. */
	readonly from: "failure" | "start" | undefined;
	/** The time between two looks, in milliseconds. */
	readonly interval: number;
	/** The maximum time for the command, in milliseconds. */
	readonly timeout: number;
	/** The port of `serve`; 0 for any free one. */
	readonly port: number;
	/** The name of the basket that has the jobs, for `serve`. */
	readonly jobs: string;
	/** Whether `serve` may change something. */
	readonly mayWrite: boolean;
}

/** What the database tells of all of its baskets. */
export interface Catalog {
	/** Counts the tasks of all baskets, or of one, by kind and state, at an instant of the store's clock. */
	survey(basket?: string): Promise<Survey>;
	/** Gets the gate of a limit, if there is one. */
	gate(basket: string, kind: string, key: string): Promise<StoredGate | undefined>;
}

/** What {@link Catalog.survey} has found. */
export interface Survey {
	/** The time, in milliseconds since 1970 on the store's clock. */
	readonly at: number;
	/** The tasks of each basket, kind and state that has some. */
	readonly tasks: readonly KindTasks[];
}

/** An open store that can be closed. */
export interface OpenStore {
	readonly store: Store;
	readonly catalog: Catalog;
	/** Says what a call that has no answer waits for, if the database knows it. */
	explain(): Promise<string | undefined>;
	close(): Promise<void>;
}

/** The terminal or pipe that a command uses. */
export interface Terminal {
	/** Whether to print tables for people; otherwise JSON for programs. */
	readonly isTable: boolean;
	/** Whether a question can be asked. */
	readonly canAsk: boolean;
	/** The current width. */
	readonly columns: number;
	/** The current height. */
	readonly rows: number;
	/** Colors text, if colors are enabled. */
	readonly paint: Paint;
	/** Aborts at Ctrl-C, and when the reader of a pipe has left. */
	readonly closed: AbortSignal;
	/** The clock to use. */
	readonly clock: Clock;
	/** Prints lines. Resolves when the output accepts more. */
	print(text: string): Promise<void>;
	/** Writes a line to the error output. */
	note(text: string): void;
	/** Asks a question. Resolves with the answer. */
	ask(question: string): Promise<string>;
	/** Replaces the lines on the screen. The last lines remain when the command ends. */
	draw(render: (columns: number, rows: number) => readonly string[]): void;
}

/** An error that ends the program with a message and an exit code. */
export class Failure extends Error {
	/** The name of this error. */
	override readonly name = "Failure";
	/** The exit code of the program. */
	readonly code: ExitCode;

	/** @param message the text for the user */
	constructor(code: ExitCode, message: string, options?: { cause?: unknown }) {
		super(message, options);
		this.code = code;
	}
}

/** The exit code of an error: 4 if a retry of the same command may succeed. */
export function exitCodeOf(error: unknown): ExitCode {
	if (error instanceof Failure) return error.code;
	return error instanceof StoreError && error.isTransient && error.code !== "full" ? 4 : 1;
}

/** The failure for a task that does not exist. */
export function missing(id: string, basket: string): Failure {
	return new Failure(3, `There is no task ${quote(id)} in the basket ${quote(basket)}`);
}

/** The name of a database for messages: without the user and the password. */
export function databaseName(db: string): string {
	if (!/^postgres(ql)?:\/\//i.test(db) || !URL.canParse(db)) return quote(db);
	const { host, pathname } = new URL(db);
	return quote(`${host}${pathname}`);
}

/** A name in quotation marks, safe for a terminal. */
export function quote(name: string): string {
	return clean(JSON.stringify(name));
}
