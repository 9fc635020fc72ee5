/** The server as the page sees it: polled every second, which also shows whether it is available. */

import { poll, type PollCounts, type WakeHint } from "../../../mod.ts";
import type { ServerStatus } from "../api.ts";

export class Server {
	/** The last status; `undefined` before the first response. */
	status: ServerStatus | undefined;
	isThere: boolean | undefined;
	/** A hint when the server is available again: waiting messages are retried at once. */
	readonly back: WakeHint;
	readonly #listeners = new Set<() => void>();
	readonly #onChange: () => void;

	constructor(onChange: () => void) {
		this.#onChange = onChange;
		this.back = {
			subscribe: (listener) => {
				this.#listeners.add(listener);
				return () => this.#listeners.delete(listener);
			},
		};
	}

	/** Polls until the signal aborts. */
	watch(signal: AbortSignal): void {
		const onAttempt = ({ consecutiveFailures }: PollCounts) => this.#found(consecutiveFailures === 0);
		poll((signal) => this.#ask(signal), { interval: 1_000, onAttempt }).attach(signal);
	}

	/** Retries a message at once, or restarts a dead one. */
	async retry(id: string): Promise<void> {
		await this.#call("POST", `${encodeURIComponent(id)}/retry`);
	}

	async delete(id: string): Promise<void> {
		await this.#call("DELETE", encodeURIComponent(id));
	}

	async #call(method: string, path: string): Promise<void> {
		await fetch(`/messages/${path}`, { method });
		await this.#ask(AbortSignal.timeout(2_000));
		this.#onChange();
	}

	async #ask(signal: AbortSignal): Promise<void> {
		const response = await fetch("/messages", { signal: AbortSignal.any([signal, AbortSignal.timeout(2_000)]) });
		if (!response.ok) throw new Error(`The server answers ${response.status}`);
		this.status = await response.json();
	}

	#found(isThere: boolean): void {
		const isBack = isThere && this.isThere === false;
		this.isThere = isThere;
		this.#onChange();
		if (isBack) { for (const listener of this.#listeners) listener(); }
	}
}
