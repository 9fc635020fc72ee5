/**
 * One service in its registry: what it is, and the calls that go to it.
 *
 * @module
 */

import type { ConfigureOptions, LifecycleSnapshot, LifecycleState } from "../lifecycle/lifecycle.ts";
import { InvalidConfigError, ServiceFailedError } from "./errors.ts";
import { abortError } from "../platform/abort-error.ts";
import { nameOf } from "../platform/error-name.ts";
import { observe, type OnError } from "../platform/observe.ts";
import type { Subscribable } from "../platform/snapshot.ts";
import { Waiters } from "../platform/waiters.ts";

/**
 * What a service is made of: a `Lifecycle`, or anything else with these members. Each method may be called at any time,
 * also while another one is under way; what was called last holds.
 */
export interface Service extends Subscribable<LifecycleSnapshot> {
	/** Makes it active. Harmless if it is. */
	start(): unknown;
	/**
	 * Applies a configuration instead of the one before. Rejects if the data does not read, and has changed nothing then;
	 * an application that fails shows in the state. The options are there only if the data is no JSON, but a value.
	 */
	configure(data: unknown, options?: ConfigureOptions): unknown;
	/** Makes it inactive, and resolves when nothing of it is left that runs. Harmless if it is inactive. */
	stop(): unknown;
}

/** Makes a service of one kind, in the state `"inactive"`. */
export type ServiceFactory = (id: string) => Service | PromiseLike<Service>;

/** A service at one moment. The same object as long as nothing changes. */
export interface ServiceRecord {
	/** Its name in the registry. */
	readonly id: string;
	/** What it is. */
	readonly kind: string;
	/** What it is doing. */
	readonly state: LifecycleState;
	/** In the state `"error"`: what the application of its configuration failed with. */
	readonly error: unknown;
}

/** A configuration that a service was given. */
interface Given {
	readonly data: unknown;
	readonly isParsed: boolean;
	/** Whether it is known to read, or came with the service: until a newer one does, each start applies it. */
	isKept: boolean;
	/** The last call that has passed it on; a start does so again if it was being read, or loading, at a stop. */
	application: Promise<void> | undefined;
}

export class Entry {
	readonly id: string;
	readonly kind: string;
	/** Released when it has been created or has not, and when it was deleted or was not. */
	readonly settled: Waiters = new Waiters();
	/** Its creation is over, and it is there for all to see. */
	isListed = false;
	/** It is being deleted: nobody can reach it any more. */
	isLeaving = false;
	/** The number that its adding has among the changes of the registry. */
	addedAt = 0;
	/** The number of its last change. */
	changedAt = 0;
	#service: Service | undefined;
	#unsubscribe: (() => void) | undefined;
	#record: ServiceRecord | undefined;
	/** First the one that is kept, if there is one, then those that have been given since and are not known to read. */
	#given: Given[] = [];
	/** Counts the calls that a start must not undo when it goes on after them. */
	#calls = 0;
	#stops = 0;
	/** Resolves when a start that is under way has passed on its configuration. */
	#starting: Promise<void> | undefined;

	constructor(id: string, kind: string, config: unknown, isParsed: boolean) {
		this.id = id;
		this.kind = kind;
		if (config !== undefined) this.#given.push({ data: config, isParsed, isKept: true, application: undefined });
	}

	/** It as it is now. */
	get record(): ServiceRecord {
		const { state, error } = this.#service!.getSnapshot();
		if (this.#record?.state === state && Object.is(this.#record.error, error)) return this.#record;
		return this.#record = { id: this.id, kind: this.kind, state, error };
	}

	/** Makes the service, and starts it if it has to be active. */
	async create(make: ServiceFactory, isActive: boolean): Promise<void> {
		this.#service = await orFail(this.id, () => make(this.id));
		this.checkStay();
		if (isActive) await this.start();
	}

	/** Throws if it was deleted or has failed meanwhile. */
	checkStay(): void {
		if (this.isLeaving) throw abortError(`The service ${JSON.stringify(this.id)} was deleted while it was created`);
		const { state, error } = this.record;
		if (state === "error") throw new ServiceFailedError(this.id, error);
	}

	/** Calls back at each change from now on. */
	watch(onChange: () => void): void {
		let seen = this.record;
		this.#unsubscribe = this.#service!.subscribe(() => {
			// A change inside a listener of a change comes first: then the outer one brings nothing new.
			if (!this.isListed || this.record === seen) return;
			seen = this.record;
			onChange();
		});
	}

	/** Starts it with the newest configuration that reads, if it has one and is not started. */
	async start(): Promise<void> {
		const service = this.#service!;
		const [calls, stops] = [this.#calls, this.#stops];
		const given = [...this.#given];
		const isStarted = service.getSnapshot().state !== "inactive";
		const started = orFail(this.id, () => service.start());
		const starting = started.then(() => {}, () => {});
		if (!isStarted) this.#starting = starting;
		try {
			await started;
			if (isStarted || stops !== this.#stops) return;
			const applied = this.#applyNewest(given);
			if (this.#starting === starting) this.#starting = undefined;
			await applied.catch(async (error) => {
				if (calls === this.#calls) await service.stop();
				throw error;
			});
		} finally {
			if (this.#starting === starting) this.#starting = undefined;
		}
	}

	/** Gives it another configuration, which it keeps unless it does not read. */
	async configure(data: unknown, isParsed: boolean): Promise<void> {
		if (this.record.state === "inactive") throw inactive(this.id);
		const stops = this.#stops;
		this.#calls++;
		const config: Given = { data, isParsed, isKept: false, application: undefined };
		this.#given.push(config);
		// What was given later has to be passed on later.
		if (this.#starting !== undefined) await this.#starting;
		if (stops === this.#stops) this.#apply(config);
		// After a stop and a start it is being applied once more.
		let seen: Promise<void> | undefined;
		while (seen !== config.application) await (seen = config.application);
	}

	/** Resolves when nothing of it runs any more. */
	async stop(): Promise<void> {
		this.#calls++;
		this.#stops++;
		await this.#service?.stop();
	}

	/** Makes an end to what it waits for while it is being created. */
	interrupt(onError: OnError | undefined): void {
		this.isLeaving = true;
		observe(onError, () => this.stop());
	}

	/** To be called when it is not listed any more. */
	forget(): void {
		this.isListed = false;
		this.#unsubscribe?.();
	}

	/** The newest one may not read; whoever gave it is told so. */
	async #applyNewest(given: readonly Given[]): Promise<void> {
		const stops = this.#stops;
		for (const config of [...given].reverse()) {
			try {
				return await this.#apply(config);
			} catch (error) {
				if (config.isKept || stops !== this.#stops) throw error;
			}
		}
	}

	#apply(config: Given): Promise<void> {
		const application = this.#configure(config);
		application.catch(() => {}); // whoever has given it may hear of a later one
		return config.application = application;
	}

	async #configure(config: Given): Promise<void> {
		const { data, isParsed } = config;
		try {
			await (isParsed ? this.#service!.configure(data, { parsed: true }) : this.#service!.configure(data));
		} catch (error) {
			if (!config.isKept) this.#given = this.#given.filter((other) => other !== config);
			// It was stopped by somebody else than its registry.
			if (nameOf(error) === "InvalidStateError") throw error;
			throw new InvalidConfigError(this.id, error);
		}
		const index = this.#given.indexOf(config);
		if (index < 0) return; // a newer one is kept
		config.isKept = true;
		this.#given = this.#given.slice(index);
	}
}

async function orFail<T>(id: string, action: () => T | PromiseLike<T>): Promise<T> {
	try {
		return await action();
	} catch (error) {
		throw new ServiceFailedError(id, error);
	}
}

function inactive(id: string): DOMException {
	return new DOMException(`The service ${JSON.stringify(id)} is not started`, "InvalidStateError");
}
