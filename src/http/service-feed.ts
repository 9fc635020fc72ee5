/**
 * The changes of a registry as events for one client.
 *
 * @module
 */

import type { ServiceChange, ServiceRecord, Services } from "../services/services.ts";
import { type EventFeed, toEvent } from "./events.ts";
import { messageOf } from "../platform/thrown.ts";

/** The JSON form of a service for clients. */
export function toJson({ id, kind, state, error }: ServiceRecord): object {
	return { id, kind, state, ...(state === "error" ? { error: messageOf(error) } : {}) };
}

export class ServiceFeed implements EventFeed {
	/** Distinguishes the revisions of this registry from those of other registries and of earlier processes. */
	readonly #epoch: string;
	readonly #changes: AsyncIterableIterator<ServiceChange, undefined>;
	/**
	 * The first change is requested at once, because a revision that is remembered now may be forgotten when the
	 * client takes its first chunk.
	 */
	#first: Promise<IteratorResult<ServiceChange, undefined>> | undefined;
	readonly first: string;

	/** @param lastEventId the last event that the client has seen */
	constructor(services: Services, epoch: string, lastEventId: string | null, maxWaiting: number) {
		const revision = lastEventId?.startsWith(`${epoch}-`) ? Number(lastEventId.slice(epoch.length + 1)) : 0;
		// If the id is unusable, everything is sent.
		const since = services.remembers(revision) ? revision : 0;
		this.#epoch = epoch;
		this.#changes = services.watch({ since, maxWaiting });
		this.first = since > 0 ? ":\n\n" : toEvent(`${epoch}-0`, "reset", {});
	}

	begin(): void {
		this.#first = this.#changes.next();
	}

	async next(): Promise<string | undefined> {
		const next = this.#first ?? this.#changes.next();
		this.#first = undefined;
		const { value: change } = await next;
		return change && toEvent(`${this.#epoch}-${change.revision}`, change.type, toJson(change));
	}

	end(): void {
		this.#changes.return!();
	}
}
