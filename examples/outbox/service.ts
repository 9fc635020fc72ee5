/** The basket of messages, and its status. */

import type { DatabaseSync } from "node:sqlite";
import { Basket, type BasketContext, type Counts, type TaskRecord, type TaskSettled } from "../../mod.ts"; // elsewhere: from "upkeep"
import { type InspectableBasket, type Meter, meter } from "../../src/http/http.ts"; // elsewhere: from "upkeep/http"
import { sqliteStore } from "../../src/stores/sqlite/sqlite.ts"; // elsewhere: from "upkeep/stores/sqlite"
import { describe, inSeconds, line } from "../shared/words.ts";
import { deliver } from "./deliver.ts";
import { Rate } from "./rate.ts";

/** A message, as the view and the page show it. Times are in milliseconds. */
export interface MessageStatus {
	readonly id: string;
	readonly state: TaskRecord["state"];
	/** The message on one line, shortened. */
	readonly text: string;
	readonly attempts: number;
	/** The time since it was accepted. */
	readonly age: number;
	/** The time until the next attempt. */
	readonly dueIn?: number | undefined;
	readonly error?: string | undefined;
}

export interface Status {
	readonly webhook: string;
	readonly counts: Counts;
	/** The oldest ones. */
	readonly waiting: readonly MessageStatus[];
	readonly running: readonly MessageStatus[];
	readonly dead: readonly MessageStatus[];
	/** The latest ones of this process, the newest first. */
	readonly delivered: readonly MessageStatus[];
	/** The totals of this process, and the rate per second over the last ten seconds. */
	readonly totals: { readonly accepted: number; readonly delivered: number; readonly failed: number };
	readonly rates: { readonly accepted: number; readonly delivered: number };
}

/** The events of a message: `known` if it was already stored, `refused` if it cannot be read. */
export type Kind = "accepted" | "known" | "refused" | TaskSettled["outcome"];

/** Called for each event. */
export type OnEvent = (kind: Kind | "error", text: string) => void;

/** The maximum number of shown messages by state. */
const shown = { waiting: 20, running: 10, dead: 20, delivered: 8 };

export class Outbox {
	readonly webhook: string;
	readonly #onEvent: OnEvent;
	readonly #basket: Basket<{ deliver: (message: unknown) => Promise<void> }, DatabaseSync>;
	readonly totals = { accepted: 0, delivered: 0, failed: 0 };
	readonly #rates = { accepted: new Rate(), delivered: new Rate() };
	readonly #meter = meter();
	#delivered: string[] = [];

	constructor(database: DatabaseSync, webhook: string, onEvent: OnEvent) {
		this.webhook = webhook;
		this.#onEvent = onEvent;
		this.#basket = new Basket({
			store: sqliteStore(database),
			tasks: { deliver: (message: unknown, context: BasketContext) => deliver(webhook, message, context) },
			timeout: 2_000,
			// Short for the demo; the default is better for production.
			backoff: { start: 500, factor: 2, max: 15_000, jitter: "equal" },
			lease: 5_000, // the time after which messages of a killed process are taken over
			grace: 2_000,
			retain: 300_000, // a client that lost the response can send the message again within five minutes
			observe: this.#meter,
			onSettled: (settled) => this.#settled(settled),
			onError: (error) => onEvent("error", line(String((error as Error).message))),
		});
	}

	/** For an inspector: the basket, and what counts its rates. */
	get inspectable(): { outbox: InspectableBasket; meter: Meter } {
		return { outbox: this.#basket, meter: this.#meter };
	}

	/** Called after each change. */
	subscribe(listener: () => void): () => void {
		return this.#basket.subscribe(listener);
	}

	/** Delivers until the signal aborts. */
	async run(signal: AbortSignal): Promise<void> {
		await this.#basket.run({ signal });
	}

	/**
	 * Resolves when the message is on the disk.
	 *
	 * @param id identifies the message if it is sent again
	 */
	async accept(message: unknown, id = Object(message).id): Promise<{ id: string; added: boolean }> {
		const added = await this.#basket.add("deliver", message, { id: typeof id === "string" ? id : undefined });
		if (added.added) {
			this.totals.accepted++;
			this.#rates.accepted.add();
		}
		this.#onEvent(added.added ? "accepted" : "known", added.id);
		return added;
	}

	async get(id: string): Promise<MessageStatus | undefined> {
		const task = await this.#basket.get(id);
		return task && toStatus(task);
	}

	/** Restarts a dead message; retries a waiting one at once. */
	async retry(id: string): Promise<boolean> {
		return await this.#basket.retry(id);
	}

	async delete(id: string): Promise<boolean> {
		return await this.#basket.delete(id);
	}

	async status(): Promise<Status> {
		const [counts, waiting, running, dead, delivered] = await Promise.all([
			this.#basket.counts(),
			this.#list("waiting"),
			this.#list("running"),
			this.#list("dead"),
			Promise.all(this.#delivered.map((id) => this.get(id))),
		]);
		const rates = { accepted: this.#rates.accepted.perSecond, delivered: this.#rates.delivered.perSecond };
		const known = delivered.filter((message) => message?.state === "done") as MessageStatus[];
		return { webhook: this.webhook, counts, waiting, running, dead, delivered: known, totals: this.totals, rates };
	}

	async #list(state: "waiting" | "running" | "dead"): Promise<MessageStatus[]> {
		const messages: MessageStatus[] = [];
		for await (const task of this.#basket.list({ state, limit: shown[state] })) messages.push(toStatus(task));
		return messages;
	}

	#settled({ id, outcome, attempt, error, delay }: TaskSettled): void {
		if (outcome === "done") {
			this.totals.delivered++;
			this.#rates.delivered.add();
			this.#delivered = [id, ...this.#delivered].slice(0, shown.delivered);
		} else if (outcome !== "released") this.totals.failed++;
		const reason = outcome === "done" || outcome === "released" ? "" : ` ${describe(error)}`;
		const again = outcome === "retry" ? `, again in ${inSeconds(delay)}` : "";
		this.#onEvent(outcome, `${id}${reason} (attempt ${attempt})${again}`);
	}
}

function toStatus({ id, state, payload, attempts, addedAt, dueAt, error }: TaskRecord): MessageStatus {
	const now = Date.now();
	return {
		...{ id, state, attempts, age: Math.max(0, now - addedAt) },
		text: line(JSON.stringify(payload)).slice(0, 200),
		dueIn: state === "waiting" && dueAt !== undefined ? Math.max(0, dueAt - now) : undefined,
		error: error && describe(new Error(error.message || error.name)),
	};
}
