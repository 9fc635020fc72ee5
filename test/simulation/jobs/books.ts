// Records of the simulated jobs: their stored states, as documented in `src/job/state.ts`, and their messages. The state
// is the head, continued by the log, whose entries are in the ledger.
import type { Data, Message } from "../../../src/store.ts";
import type { JobMessage } from "../../../src/job/state.ts";
import type { JobEntry } from "../../../src/job/state.ts";
import type { JobCheckpoint, JobHead } from "../../../src/job/state.ts";
import type { ClaimRecord, Entry, Owner } from "../ledger.ts";
import type { Call } from "./calls.ts";
import type { JobRules } from "./definitions.ts";

/** The record of a job, which also stays after its end. */
export interface JobBook {
	readonly entry: Entry;
	readonly rules: JobRules;
	/** The stored state. */
	state: JobCheckpoint;
	/** The first signal of each name. */
	readonly signals: Map<string, { readonly value?: unknown }>;
	/** The monotonic time of each message, by its number. */
	readonly postedAt: Map<number, number>;
	/** The number of consecutive claims at this step that ended without a settlement. */
	crashes: number;
	/** The number of crashes that nobody can count, because a claim has ended that could not read the log. */
	hidden: number;
	/** Whether the job waits only because a claim could not read the log. */
	isUnread: boolean;
	/** The monotonic time at which each entry of the log was stored. */
	readonly loggedAt: number[];
	/** The reverted steps, in the order of their reverts. */
	readonly reverted: string[];
	readonly calls: Call[];
	/** The stored attempts. */
	readonly history: CountedAttempt[];
	/** The idempotency key of each step and revert. */
	readonly keys: Map<string, string>;
	/** The last claim of each process. */
	readonly claims: Map<Owner, JobClaim>;
	/** Whether a hint has ended the backoff. */
	isHastened: boolean;
	/** The monotonic time of the add. */
	readonly addedAt: number;
	endedAt: number;
	deletedAt: number;
}

export interface CountedAttempt {
	readonly step: string;
	readonly isRevert: boolean;
	readonly attempt: number;
	readonly hasFailed: boolean;
	/** Absent if the attempt was abandoned. */
	readonly duration: number | undefined;
}

/** A claim on a job. */
export interface JobClaim {
	readonly record: ClaimRecord;
	/** The session of its worker. */
	readonly session: number;
	/** The earliest monotonic time of the add that the process can derive. */
	readonly addedAt: number;
	/** The minimum age of the job at the claim. */
	readonly leastAge: number;
	/** The messages that the run must know. */
	readonly inbox: readonly Message[];
	/** Whether the run may have begun under the previous claim. */
	readonly isContinued: boolean;
	/** The last stored state under this claim. */
	state: JobCheckpoint;
	/** The calls whose results are not stored. */
	calls: Call[];
	/** Whether the process has learned that the claim is lost. */
	isLost: boolean;
}

export function readHead(payload: unknown): JobHead {
	return JSON.parse(payload as string);
}

export function readEntry(data: Data): JobEntry {
	return JSON.parse(data as string);
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
		state: { ...readHead(entry.payload), results: {} },
		signals: new Map(),
		postedAt: new Map(),
		crashes: 0,
		hidden: 0,
		isUnread: false,
		loggedAt: [],
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
