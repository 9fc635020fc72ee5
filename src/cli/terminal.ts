/**
 * What the commands know of the world: what was asked for, where they print, and how they fail.
 *
 * @module
 */

import type { Store, TaskState } from "../basket/store.ts";
import type { Clock } from "../platform/clock.ts";
import { clean, type Paint } from "./text.ts";

/** What the program exits with. */
export type ExitCode = 0 | 1 | 2 | 3;

/** The commands. */
export type CommandName = "ls" | "show" | "counts" | "watch" | "retry" | "hold" | "release" | "rm";

/** What was asked for, checked. */
export interface Request {
	/** What to do. */
	readonly command: CommandName;
	/** With which tasks; none with `isAll`. */
	readonly ids: readonly string[];
	/** The file of the database, or its address. */
	readonly db: string;
	/** Which tables in it, if not the usual ones. */
	readonly tables: string | undefined;
	/** The name of the basket. */
	readonly basket: string;
	/** Only tasks in this state. */
	readonly state: TaskState | undefined;
	/** Only tasks of this kind. */
	readonly kind: string | undefined;
	/** Only tasks behind this key. */
	readonly after: string | undefined;
	/** At most this many. */
	readonly limit: number;
	/** All that are in the state, and of the kind. */
	readonly isAll: boolean;
	/** Without being asked again. */
	readonly isSure: boolean;
	/** Whether `rm` also removes jobs that have done some of their steps. */
	readonly takesHalfDone: boolean;
	/** How often to look, in milliseconds. */
	readonly interval: number;
}

/** An open store, which is to be closed. */
export interface OpenStore {
	readonly store: Store;
	close(): Promise<void>;
}

/** Where the commands print, and whom they ask. */
export interface Terminal {
	/** Whether people read it: tables and colours. Otherwise programs do: JSON. */
	readonly isTable: boolean;
	/** Whether somebody can be asked. */
	readonly canAsk: boolean;
	/** How wide it is now. */
	readonly columns: number;
	/** How high it is now. */
	readonly rows: number;
	/** Colours text, if that is wanted. */
	readonly paint: Paint;
	/** Aborts at Ctrl-C, and when nobody reads any more. */
	readonly closed: AbortSignal;
	/** The clock to use. */
	readonly clock: Clock;
	/** Prints lines; resolves when there is room for more. */
	print(text: string): Promise<void>;
	/** Says something beside the output. */
	note(text: string): void;
	/** Asks a question; resolves with the answer. */
	ask(question: string): Promise<string>;
	/** Shows lines in the place of the last ones, as many as there is room for; those it was given last stay. */
	draw(render: (columns: number, rows: number) => readonly string[]): void;
}

/** Ends the program with a message and an exit code. */
export class Failure extends Error {
	/** The name of this error. */
	override readonly name = "Failure";
	/** What the program exits with. */
	readonly code: ExitCode;

	/** @param message is shown to the user */
	constructor(code: ExitCode, message: string, options?: { cause?: unknown }) {
		super(message, options);
		this.code = code;
	}
}

/** There is no such task. */
export function missing(id: string, basket: string): Failure {
	return new Failure(3, `There is no task ${quote(id)} in the basket ${quote(basket)}`);
}

/** A name that somebody has given, in quotation marks. */
export function quote(name: string): string {
	return clean(JSON.stringify(name));
}
