/**
 * The changes of a registry as server-sent events.
 *
 * @module
 */

import type { ServiceChange } from "../services/watch.ts";
import type { Services } from "../services.ts";
import { describe } from "./problem.ts";
import type { ServiceRecord } from "../services/entry.ts";
import type { Clock } from "../platform/clock.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Timer } from "../platform/timer-queue.ts";

export interface EventStreamOptions {
	/** Tells the revisions of this registry from those of others, and of the same program before it was started anew. */
	epoch: string;
	/** What the client has seen last. */
	lastEventId: string | null;
	/** Aborts when the client has gone. */
	signal: AbortSignal;
	heartbeat: number;
	clock: Clock;
}

/** A service as clients see it. */
export function toJson({ id, kind, state, error }: ServiceRecord): object {
	return { id, kind, state, ...(state === "error" ? { error: describe(error) } : {}) };
}

/**
 * What a stream of events is made of. A change is asked for when the client has taken the one before: behind a slow
 * client changes are conflated by the watch, and not collected here.
 */
export class ChangeStream extends Timer implements UnderlyingDefaultSource<Uint8Array>, Abortable {
	readonly #services: Services;
	readonly #options: EventStreamOptions;
	readonly #since: number;
	readonly #changes: AsyncIterableIterator<ServiceChange, undefined>;
	readonly #encoder = new TextEncoder();
	#controller: ReadableStreamDefaultController<Uint8Array> | undefined;

	constructor(services: Services, options: EventStreamOptions) {
		super(true); // a heartbeat need not keep a server alive
		this.#services = services;
		this.#options = options;
		this.#since = this.#readLastEventId();
		this.#changes = services.watch({ since: this.#since });
	}

	start(controller: ReadableStreamDefaultController<Uint8Array>): void {
		this.#controller = controller;
		const { signal, epoch } = this.#options;
		// A first piece at once, because some servers send the headers together with it.
		this.#send(this.#since > 0 ? ":\n\n" : `id: ${epoch}-0\nevent: reset\ndata: {}\n\n`);
		if (signal.aborted) return this.abort();
		link(signal, this);
		this.#rest();
	}

	async pull(): Promise<void> {
		const { value: change } = await this.#changes.next();
		if (this.#controller === undefined || change === undefined) return; // the client has gone meanwhile
		const id = `${this.#options.epoch}-${change.revision}`;
		// JSON has no line break, so that nothing in it can end the event.
		this.#send(`id: ${id}\nevent: ${change.type}\ndata: ${JSON.stringify(toJson(change))}\n\n`);
		this.#rest();
	}

	/** The client has gone. */
	cancel(): void {
		this.#controller = undefined;
		this.abort();
	}

	/** The request was aborted. */
	abort(): void {
		const { clock, signal } = this.#options;
		clock.clear(this);
		unlink(signal, this);
		this.#changes.return!();
		this.#controller?.close();
		this.#controller = undefined;
	}

	/** A heartbeat. A client that has not taken the last piece needs none. */
	fire(): void {
		if (this.#controller!.desiredSize! > 0) this.#send(":\n\n");
		this.#rest();
	}

	/** Until the next heartbeat. */
	#rest(): void {
		this.#options.clock.set(this, this.#options.heartbeat);
	}

	#send(text: string): void {
		this.#controller!.enqueue(this.#encoder.encode(text));
	}

	/** 0 if it is of no use: then everything is sent. */
	#readLastEventId(): number {
		const { epoch, lastEventId } = this.#options;
		const revision = lastEventId?.startsWith(`${epoch}-`) ? Number(lastEventId.slice(epoch.length + 1)) : 0;
		return this.#services.remembers(revision) ? revision : 0;
	}
}
