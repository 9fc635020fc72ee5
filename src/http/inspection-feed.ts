/**
 * The changes of an inspection as events: one watch for all clients.
 *
 * @module
 */

import type { Inspection, InspectionChange } from "../inspection/inspection.ts";
import { type EventFeed, toEvent } from "./events.ts";
import { type OnError, report } from "../platform/observe.ts";

/**
 * Watches while there are clients. Each change that should be read again has a number of its own, so that a client that
 * comes back knows whether it has missed one. Nobody counts while nobody watches, so the numbers of each time are others.
 */
export class ChangeHub {
	readonly #inspection: Inspection;
	readonly #onError: OnError | undefined;
	readonly #feeds = new Set<InspectionFeed>();
	#unwatch: (() => void) | undefined;
	#epoch = "";
	#revision = 0;
	#last: InspectionChange | undefined;

	constructor(inspection: Inspection, onError: OnError | undefined) {
		this.#inspection = inspection;
		this.#onError = onError;
	}

	/** The number of the last change, for `Last-Event-ID`. */
	get id(): string {
		return `${this.#epoch}-${this.#revision}`;
	}

	join(feed: InspectionFeed): void {
		this.#feeds.add(feed);
		if (this.#last !== undefined) feed.offer(this.#last, this.id);
		this.#unwatch ??= this.#watch();
	}

	leave(feed: InspectionFeed): void {
		if (!this.#feeds.delete(feed) || this.#feeds.size > 0) return;
		this.#unwatch?.();
		this.#unwatch = undefined;
		this.#last = undefined;
	}

	#watch(): () => void {
		this.#epoch = crypto.randomUUID();
		this.#revision = 0;
		return this.#inspection.watch((change) => {
			if (change.hasChanged) this.#revision++;
			this.#last = change;
			for (const feed of this.#feeds) feed.offer(change, this.id);
		}, (error) => report(this.#onError, error));
	}
}

/** The events of one client. It keeps only the newest one that the client has not taken. */
export class InspectionFeed implements EventFeed {
	readonly #hub: ChangeHub;
	readonly #lastEventId: string | null;
	readonly first = ":\n\n";
	#pending: { readonly change: InspectionChange; readonly id: string } | undefined;
	#wake: (() => void) | undefined;
	#isFirst = true;
	#isOver = false;

	constructor(hub: ChangeHub, lastEventId: string | null) {
		this.#hub = hub;
		this.#lastEventId = lastEventId;
	}

	begin(): void {
		this.#hub.join(this);
	}

	offer(change: InspectionChange, id: string): void {
		const hasChanged = change.hasChanged || (this.#pending?.change.hasChanged ?? false);
		this.#pending = { change: { ...change, hasChanged }, id };
		this.#wake?.();
	}

	async next(): Promise<string | undefined> {
		while (this.#pending === undefined && !this.#isOver) await new Promise<void>((resolve) => this.#wake = resolve);
		if (this.#isOver) return undefined;
		const { change, id } = this.#pending!;
		this.#pending = undefined;
		const mayHaveMissed = this.#isFirst && id !== this.#lastEventId;
		const isKnown = this.#isFirst && !mayHaveMissed;
		this.#isFirst = false;
		if (mayHaveMissed) return toEvent(id, "reset", { ...change, hasChanged: true });
		return toEvent(id, "change", isKnown ? { ...change, hasChanged: false } : change);
	}

	end(): void {
		this.#isOver = true;
		this.#hub.leave(this);
		this.#wake?.();
	}
}
