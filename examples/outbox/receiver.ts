/** The default receiver if no webhook is given: a flaky endpoint that drops duplicates. */

import { sleep } from "../../mod.ts";
import { type RunningServer, serve } from "../shared/serve.ts";
import type { Received } from "./database.ts";

/** Its behavior for consecutive requests, so that each run shows all of them. */
const behaviours = [
	"works",
	"fails",
	"works",
	"slow",
	"works",
	"busy",
	"works",
	"loses",
	"works",
	"hangs",
	"works",
] as const;

export class Receiver {
	/** The number of different messages received, and of dropped duplicates. */
	readonly totals = { messages: 0, duplicates: 0 };
	readonly #received: Received;
	readonly #server: Promise<RunningServer>;
	readonly #closed = new AbortController();
	#count = 0;

	constructor(received: Received) {
		this.#received = received;
		this.#server = serve((request) => this.#answer(request), 0);
	}

	async url(): Promise<string> {
		return `http://127.0.0.1:${(await this.#server).port}/webhook`;
	}

	async close(): Promise<void> {
		this.#closed.abort();
		await (await this.#server).close();
	}

	async #answer(request: Request): Promise<Response> {
		const message = await request.json();
		if (Object(message).to === "nobody") return new Response("There is no such address\n", { status: 404 });
		const behaviour = behaviours[this.#count++ % behaviours.length]!;
		if (behaviour === "fails") return new Response(null, { status: 503 });
		if (behaviour === "busy") return new Response(null, { status: 429, headers: { "retry-after": "2" } });
		if (behaviour === "slow") await this.#sleep(800);
		if (behaviour === "hangs") await this.#sleep(5_000); // the sender gives up before
		else this.#receive(request.headers.get("idempotency-key"));
		const hasFailed = behaviour === "hangs" || behaviour === "loses"; // `loses` has received the message, and says otherwise
		return new Response(null, { status: hasFailed ? 502 : 204 });
	}

	#receive(id: string | null): void {
		this.totals[id === null || this.#received.add(id) ? "messages" : "duplicates"]++;
	}

	async #sleep(time: number): Promise<void> {
		await sleep(time, { signal: this.#closed.signal }).catch(() => {});
	}
}
