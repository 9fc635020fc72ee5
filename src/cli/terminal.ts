/**
 * The types that the commands share: the request, the terminal, and the failure.
 *
 * @module
 */

import type { Store, TaskState } from "../basket/store.ts";
import type { Clock } from "../platform/clock.ts";
import { clean, type Paint } from "./text.ts";

/** The exit code of the program. */
export type ExitCode = 0 | 1 | 2 | 3;

/** The commands. */
export type CommandName =
	| "ls"
	| "show"
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
	| "signal";

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
}

/** An open store that can be closed. */
export interface OpenStore {
	readonly store: Store;
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

/** The failure for a task that does not exist. */
export function missing(id: string, basket: string): Failure {
	return new Failure(3, `There is no task ${quote(id)} in the basket ${quote(basket)}`);
}

/** A name in quotation marks, safe for a terminal. */
export function quote(name: string): string {
	return clean(JSON.stringify(name));
}
