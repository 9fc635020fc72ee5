/**
 * The changes of a registry as server-sent events.
 *
 * @module
 */

import type { ServiceChange, ServiceRecord, Services } from "../services/services.ts";
import { describe } from "./problem.ts";
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
	maxStreamWaiting: number;
	maxStreamTime: number;
	clock: Clock;
	/** All that are open. */
	streams: Set<ChangeStream>;
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
	/**
	 * The first one is asked for at once: from here on it counts what happens, and a revision that is remembered now may be
	 * forgotten when the client takes its first piece.
	 */
	#first: Promise<IteratorResult<ServiceChange, undefined>> | undefined;
	readonly #endsAt: number;
	readonly #encoder = new TextEncoder();
	#controller: ReadableStreamDefaultController<Uint8Array> | undefined;

	constructor(services: Services, options: EventStreamOptions) {
		super(true); // a heartbeat need not keep a server alive
		this.#services = services;
		this.#options = options;
		this.#since = this.#readLastEventId();
		this.#changes = services.watch({ since: this.#since, maxWaiting: options.maxStreamWaiting });
		this.#endsAt = options.clock.monotonic() + options.maxStreamTime;
	}

	start(controller: ReadableStreamDefaultController<Uint8Array>): void {
		this.#controller = controller;
		const { signal, epoch } = this.#options;
		// A first piece at once, because some servers send the headers together with it.
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
		if (this.#controller === undefined) return; // the client has gone meanwhile
		if (change === undefined) return this.abort(); // it was too slow
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

	/** The request was aborted, or has lasted long enough. */
	abort(): void {
		const { clock, signal, streams } = this.#options;
		streams.delete(this);
		clock.clear(this);
		unlink(signal, this);
		this.#changes.return!();
		this.#controller?.close();
		this.#controller = undefined;
	}

	/** A heartbeat. A client that has not taken the last piece needs none. */
	fire(): void {
		if (this.#options.clock.monotonic() >= this.#endsAt) return this.abort();
		if (this.#controller!.desiredSize! > 0) this.#send(":\n\n");
		this.#rest();
	}

	/** Until the next heartbeat. */
	#rest(): void {
		const { clock, heartbeat } = this.#options;
		clock.set(this, Math.max(0, Math.min(heartbeat, this.#endsAt - clock.monotonic())));
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
