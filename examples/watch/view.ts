/** What there is to see, and who shows it. */

import type { Group } from "../../mod.ts";
import type { Config } from "./config.ts";
import type { Network } from "./network.ts";

/** What a task does not tell, since there is a new one for each check: how the checks of one URL went. */
export interface History {
	successes: number;
	failures: number;
	/** What the last attempt came to. */
	last: string;
	/** What the last check came to; not there before the first. */
	isUp?: boolean;
	/** Between two checks: when the next one begins. */
	nextCheckAt?: number | undefined;
}

export interface Watched {
	readonly group: Group;
	readonly network: Network;
	readonly history: ReadonlyMap<string, History>;
	readonly config: Config | undefined;
	readonly startedAt: number;
}

/** What can happen. */
export type Kind = "ok" | "failed" | "retry" | "config" | "file" | "rejected" | "network";

export interface View {
	/** Something has happened. */
	note(kind: Kind, text: string): void;
	/** It is over. */
	close(): void;
}
