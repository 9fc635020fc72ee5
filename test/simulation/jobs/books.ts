// What is known of each simulated job: what is stored of it, by the words of `src/job/state.ts`, and what was posted.
import type { Data, Message } from "../../../src/store.ts";
import type { JobMessage } from "../../../src/job/job-run.ts";
import type { JobCheckpoint } from "../../../src/job/state.ts";
import type { ClaimRecord, Entry, Owner } from "../ledger.ts";
import type { Call } from "./calls.ts";
import type { JobRules } from "./definitions.ts";

/** A job, for ever. */
export interface JobBook {
	readonly entry: Entry;
	readonly rules: JobRules;
	/** As the store has it. */
	state: JobCheckpoint;
	/** The first signal of each name. */
	readonly signals: Map<string, { readonly value?: unknown }>;
	/** When each of the messages was posted, by its number, on the monotonic clock. */
	readonly postedAt: Map<number, number>;
	/** How many claims in a row have ended without a word at this step. */
	crashes: number;
	/** The steps that were reverted, in that order. */
	readonly reverted: string[];
	readonly calls: Call[];
	/** What came of them, as far as that is stored. */
	readonly history: CountedAttempt[];
	/** Of each step and revert. */
	readonly keys: Map<string, string>;
	/** What is known of its claims, the last one of each process. */
	readonly claims: Map<Owner, JobClaim>;
	/** A hint has ended its backoff. */
	isHastened: boolean;
	/** On the monotonic clock. */
	readonly addedAt: number;
	endedAt: number;
	deletedAt: number;
}

export interface CountedAttempt {
	readonly step: string;
	readonly isRevert: boolean;
	readonly attempt: number;
	readonly hasFailed: boolean;
	/** Absent if it was given up. */
	readonly duration: number | undefined;
}

/** A claim on a job. */
export interface JobClaim {
	readonly record: ClaimRecord;
	/** The run of its worker in which it was made. */
	readonly session: number;
	/** When the job was added at the earliest by what its process knows, on the monotonic clock. */
	readonly addedAt: number;
	/** How old it was at least when the claim was made. */
	readonly leastAge: number;
	/** The messages that its run knows for certain. */
	readonly inbox: readonly Message[];
	/** Whether that may have begun under the claim before. */
	readonly isContinued: boolean;
	/** As it was stored last under this claim. */
	state: JobCheckpoint;
	/** Those that nothing is stored of. */
	calls: Call[];
	/** Its process was told that it is lost. */
	isLost: boolean;
}

export function read(payload: unknown): JobCheckpoint {
	return JSON.parse(payload as string);
}

export function readMessage(data: Data): JobMessage {
	return JSON.parse(data as string);
}

export function hasCancel(inbox: readonly Message[]): boolean {
	return inbox.some(({ data }) => readMessage(data).type === "cancel");
}

export function makeBook(entry: Entry, rules: JobRules, addedAt: number): JobBook {
	return {
		entry,
		rules,
		state: read(entry.payload),
		signals: new Map(),
		postedAt: new Map(),
		crashes: 0,
		reverted: [],
		calls: [],
		history: [],
		keys: new Map(),
		claims: new Map(),
		isHastened: false,
		addedAt,
		endedAt: Infinity,
		deletedAt: Infinity,
	};
}

export function hasSignal(inbox: readonly Message[], name: string): boolean {
	return inbox.some(({ data }) => {
		const message = readMessage(data);
		return message.type === "signal" && message.name === name;
	});
}
