/** Whether the network is there, looked after as long as somebody is attached. */

import { Group, type Intermittent, poll } from "../../mod.ts";

export type NetworkState = "unknown" | "online" | "offline";

/** Online is when any of the watched hosts answers, with whatever status: then a URL that fails has itself to blame. */
export class Network {
	state: NetworkState = "unknown";
	readonly #urls: () => readonly string[];
	readonly #onChange: (state: NetworkState) => void;
	readonly #poll: Intermittent;
	#restored = new AbortController();

	constructor(urls: () => readonly string[], onChange: (state: NetworkState) => void) {
		this.#urls = urls;
		this.#onChange = onChange;
		this.#poll = poll((signal) => this.#look(signal), {
			interval: 2_000,
			// One failure may be bad luck.
			onAttempt: ({ consecutiveFailures: failures }) => {
				if (failures !== 1) this.#change(failures === 0 ? "online" : "offline");
			},
		});
	}

	/** Aborts when the network is there again after it was away. */
	get restored(): AbortSignal {
		return this.#restored.signal;
	}

	attach(signal: AbortSignal): void {
		this.#poll.attach(signal).catch(() => {}); // it rejects if the signal has aborted, which is all right
	}

	/** Resolves when nobody is attached and nothing runs anymore. */
	async wait(): Promise<void> {
		await this.#poll.wait();
	}

	async #look(signal: AbortSignal): Promise<void> {
		const origins = [...new Set(this.#urls().map((url) => new URL(url).origin))].slice(0, 5); // of many, a few will do
		const knocks = new Group({ timeout: 2_000, signal });
		const tasks = origins.map((origin) => knocks.spawn(origin, (context) => knock(origin, context.signal)));
		try {
			await Promise.any(tasks.map((task) => task.result()));
		} finally {
			await knocks.stop(); // the first answer is enough
		}
	}

	#change(state: NetworkState): void {
		if (state === this.state) return;
		const isRestored = this.state === "offline";
		this.state = state;
		this.#onChange(state);
		if (!isRestored) return;
		const restored = this.#restored;
		this.#restored = new AbortController(); // first, so that whoever is woken waits for the next time
		restored.abort();
	}
}

async function knock(origin: string, signal: AbortSignal): Promise<void> {
	const response = await fetch(origin, { method: "HEAD", redirect: "manual", signal });
	await response.body?.cancel();
}
