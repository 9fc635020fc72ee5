/** One attempt to reach a URL: the task that the group tries again. */

import type { TaskContext } from "../../mod.ts";
import { refusal } from "../shared/refusal.ts";

/** What a URL that is up has answered. */
export interface Answer {
	readonly status: number;
	/** In milliseconds, up to the headers. */
	readonly duration: number;
}

export async function check(url: string, { signal }: TaskContext): Promise<Answer> {
	const startedAt = performance.now();
	const response = await fetch(url, { signal });
	const duration = Math.round(performance.now() - startedAt);
	await response.body?.cancel(); // a body that nobody reads would hold its connection
	if (response.ok) return { status: response.status, duration };
	throw refusal(response);
}
