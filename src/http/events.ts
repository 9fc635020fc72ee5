/**
 * Server-sent events for one client.
 *
 * @module
 */

import type { HandlerSettings } from "./rules.ts";
import { Problem } from "./problem.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Timer } from "../platform/timer-queue.ts";

/** The source of the events of a client. */
export interface EventFeed {
	/** Sent at once, because some servers send the headers only with the first chunk. */
	readonly first: string;
	/** Begins, unless the client has gone already. */
	begin(): void;
	/**
	 * Called when the client has taken the previous event. So a feed merges what happens for a slow client, and nothing
	 * accumulates. Resolves with `undefined` at the end.
	 */
	next(): Promise<string | undefined>;
	/** Ends; called at least once. */
	end(): void;
}

/** Writes an event. */
export function toEvent(id: string, type: string, data: unknown): string {
	// JSON contains no line break, so it cannot end the event early.
	return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The response that streams a feed. */
export function streamEvents(
	{ signal }: Request,
	feed: () => EventFeed,
	settings: HandlerSettings,
	streams: Set<EventStream>,
): Response {
	if (streams.size >= settings.maxStreams) {
		throw new Problem(503, "There are too many streams", {}, { "retry-after": "10" });
	}
	return new Response(new ReadableStream(new EventStream(feed(), signal, settings, streams)), {
		headers: {
			"content-type": "text/event-stream",
			"cache-control": "no-store",
			"x-content-type-options": "nosniff",
			"x-accel-buffering": "no", // otherwise nginx would buffer the events
			vary: "accept",
		},
	});
}

/** A stream of events to a client. It requests an event when the client has taken the previous one. */
export class EventStream extends Timer implements UnderlyingDefaultSource<Uint8Array>, Abortable {
	readonly #feed: EventFeed;
	/** Aborts when the client has disconnected. */
	readonly #signal: AbortSignal;
	readonly #settings: HandlerSettings;
	/** All open streams. */
	readonly #streams: Set<EventStream>;
	readonly #endsAt: number;
	readonly #encoder = new TextEncoder();
	#controller: ReadableStreamDefaultController<Uint8Array> | undefined;

	constructor(feed: EventFeed, signal: AbortSignal, settings: HandlerSettings, streams: Set<EventStream>) {
		super(true); // a heartbeat does not keep a server alive
		this.#feed = feed;
		this.#signal = signal;
		this.#settings = settings;
		this.#streams = streams;
		this.#endsAt = settings.clock.monotonic() + settings.maxStreamTime;
	}

	start(controller: ReadableStreamDefaultController<Uint8Array>): void {
		this.#controller = controller;
		this.#send(this.#feed.first);
		if (this.#signal.aborted) return this.abort();
		this.#streams.add(this);
		this.#feed.begin();
		link(this.#signal, this);
		this.#rest();
	}

	async pull(): Promise<void> {
		const event = await this.#feed.next();
		if (this.#controller === undefined) return; // the client has disconnected meanwhile
		if (event === undefined) return this.abort(); // the client was too slow
		this.#send(event);
		this.#rest();
	}

	/** The client has disconnected. */
	cancel(): void {
		this.#controller = undefined;
		this.abort();
	}

	/** The request was aborted, or has reached its time limit. */
	abort(): void {
		this.#streams.delete(this);
		this.#settings.clock.clear(this);
		unlink(this.#signal, this);
		this.#feed.end();
		this.#controller?.close();
		this.#controller = undefined;
	}

	/** Sends a heartbeat, unless the client has not yet taken the last chunk. */
	fire(): void {
		if (this.#settings.clock.monotonic() >= this.#endsAt) return this.abort();
		if (this.#controller!.desiredSize! > 0) this.#send(":\n\n");
		this.#rest();
	}

	/** Waits until the next heartbeat. */
	#rest(): void {
		const { clock, heartbeat } = this.#settings;
		clock.set(this, Math.max(0, Math.min(heartbeat, this.#endsAt - clock.monotonic())));
	}

	#send(text: string): void {
		this.#controller!.enqueue(this.#encoder.encode(text));
	}
}
