/**
 * The changes of a registry as server-sent events.
 *
 * @module
 */

import type { ServiceChange, ServiceRecord, Services } from "../services/services.ts";
import type { Clock } from "../platform/clock.ts";
import { messageOf } from "../platform/thrown.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Timer } from "../platform/timer-queue.ts";

export interface EventStreamOptions {
	/** Distinguishes the revisions of this registry from those of other registries and of earlier processes. */
	epoch: string;
	/** The last event that the client has seen. */
	lastEventId: string | null;
	/** Aborts when the client has disconnected. */
	signal: AbortSignal;
	heartbeat: number;
	maxStreamWaiting: number;
	maxStreamTime: number;
	clock: Clock;
	/** All open streams. */
	streams: Set<ChangeStream>;
}

/** The JSON form of a service for clients. */
export function toJson({ id, kind, state, error }: ServiceRecord): object {
	return { id, kind, state, ...(state === "error" ? { error: messageOf(error) } : {}) };
}

/**
 * The source of a stream of events. It requests a change when the client has taken the previous one. So the watch
 * merges changes for a slow client, and nothing accumulates here.
 */
export class ChangeStream extends Timer implements UnderlyingDefaultSource<Uint8Array>, Abortable {
	readonly #services: Services;
	readonly #options: EventStreamOptions;
	readonly #since: number;
	readonly #changes: AsyncIterableIterator<ServiceChange, undefined>;
	/**
	 * The first change is requested at once, because a revision that is remembered now may be forgotten when the
	 * client takes its first chunk.
	 */
	#first: Promise<IteratorResult<ServiceChange, undefined>> | undefined;
	readonly #endsAt: number;
	readonly #encoder = new TextEncoder();
	#controller: ReadableStreamDefaultController<Uint8Array> | undefined;

	constructor(services: Services, options: EventStreamOptions) {
		super(true); // a heartbeat does not keep a server alive
		this.#services = services;
		this.#options = options;
		this.#since = this.#readLastEventId();
		this.#changes = services.watch({ since: this.#since, maxWaiting: options.maxStreamWaiting });
		this.#endsAt = options.clock.monotonic() + options.maxStreamTime;
	}

	start(controller: ReadableStreamDefaultController<Uint8Array>): void {
		this.#controller = controller;
		const { signal, epoch } = this.#options;
		// Some servers send the headers only with the first chunk, so it is sent at once.
		this.#send(this.#since > 0 ? ":\n\n" : `id: ${epoch}-0\nevent: reset\ndata: {}\n\n`);
		if (signal.aborted) return this.abort();
		this.#options.streams.add(this);
		this.#first = this.#changes.next();
		link(signal, this);
		this.#rest();
	}

	async pull(): Promise<void> {
		const next = this.#first ?? this.#changes.next();
		this.#first = undefined;
		const { value: change } = await next;
		if (this.#controller === undefined) return; // the client has disconnected meanwhile
		if (change === undefined) return this.abort(); // the client was too slow
		const id = `${this.#options.epoch}-${change.revision}`;
		// JSON contains no line break, so it cannot end the event early.
		this.#send(`id: ${id}\nevent: ${change.type}\ndata: ${JSON.stringify(toJson(change))}\n\n`);
		this.#rest();
	}

	/** The client has disconnected. */
	cancel(): void {
		this.#controller = undefined;
		this.abort();
	}

	/** The request was aborted, or has reached its time limit. */
	abort(): void {
		const { clock, signal, streams } = this.#options;
		streams.delete(this);
		clock.clear(this);
		unlink(signal, this);
		this.#changes.return!();
		this.#controller?.close();
		this.#controller = undefined;
	}

	/** Sends a heartbeat, unless the client has not yet taken the last chunk. */
	fire(): void {
		if (this.#options.clock.monotonic() >= this.#endsAt) return this.abort();
		if (this.#controller!.desiredSize! > 0) this.#send(":\n\n");
		this.#rest();
	}

	/** Waits until the next heartbeat. */
	#rest(): void {
		const { clock, heartbeat } = this.#options;
		clock.set(this, Math.max(0, Math.min(heartbeat, this.#endsAt - clock.monotonic())));
	}

	#send(text: string): void {
		this.#controller!.enqueue(this.#encoder.encode(text));
	}

	/** Returns 0 if the id is unusable: then everything is sent. */
	#readLastEventId(): number {
		const { epoch, lastEventId } = this.#options;
		const revision = lastEventId?.startsWith(`${epoch}-`) ? Number(lastEventId.slice(epoch.length + 1)) : 0;
		return this.#services.remembers(revision) ? revision : 0;
	}
}
