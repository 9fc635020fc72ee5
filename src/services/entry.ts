/**
 * One service in its registry, and the calls to it.
 *
 * @module
 */

import type { ConfigureOptions, LifecycleSnapshot, LifecycleState } from "../lifecycle/lifecycle.ts";
import { InvalidConfigError, ServiceFailedError } from "./errors.ts";
import { abortError } from "../platform/abort-error.ts";
import { nameOf } from "../platform/thrown.ts";
import { observe, type OnError } from "../platform/observe.ts";
import type { Subscribable } from "../platform/snapshot.ts";
import { Waiters } from "../platform/waiters.ts";

/**
 * A service: a `Lifecycle`, or any other object with these members. Each method may be called at any time, also while
 * another call is running; the last call wins.
 */
export interface Service extends Subscribable<LifecycleSnapshot> {
	/** Starts the service. Does nothing if it is active. */
	start(): unknown;
	/**
	 * Replaces the configuration. If the data cannot be read, it rejects and changes nothing. If the configuration
	 * cannot be applied, the state shows it. `options` is passed only if the data is a value and not JSON.
	 */
	configure(data: unknown, options?: ConfigureOptions): unknown;
	/** Stops the service, and resolves when none of its work is running. Does nothing if it is inactive. */
	stop(): unknown;
}

/** Creates a service of one kind, in the state `"inactive"`. */
export type ServiceFactory = (id: string) => Service | PromiseLike<Service>;

/** A service at one moment. It is the same object until something changes. */
export interface ServiceRecord {
	/** The name in the registry. */
	readonly id: string;
	/** The kind of the service. */
	readonly kind: string;
	/** The state of the service. */
	readonly state: LifecycleState;
	/** In the state `"error"`: the error that applying the configuration failed with. */
	readonly error: unknown;
}

/** A configuration that was passed to a service. */
interface Given {
	readonly data: unknown;
	readonly isParsed: boolean;
	/**
	 * Whether it could be read, or came with the service. Each start applies it until a newer configuration can be
	 * read.
	 */
	isKept: boolean;
	/**
	 * The last call that passed it to the service. A start passes it again if a stop interrupted its reading or
	 * loading.
	 */
	application: Promise<void> | undefined;
}

export class Entry {
	readonly id: string;
	readonly kind: string;
	/** Released when a creation or a deletion has ended, successful or not. */
	readonly settled: Waiters = new Waiters();
	/** Whether it has been created and is visible to everyone. */
	isListed = false;
	/** Whether it is being deleted and can no longer be reached. */
	isLeaving = false;
	/** The revision of the registry in which it was added. */
	addedAt = 0;
	/** The revision of its last change. */
	changedAt = 0;
	#service: Service | undefined;
	#unsubscribe: (() => void) | undefined;
	#record: ServiceRecord | undefined;
	/** The kept configuration, if there is one, followed by newer ones that have not been read yet. */
	#given: Given[] = [];
	/** Counts the calls that a start must not undo when it continues after them. */
	#calls = 0;
	#stops = 0;
	/** Resolves when the running start has passed its configuration to the service. */
	#starting: Promise<void> | undefined;

	constructor(id: string, kind: string, config: unknown, isParsed: boolean) {
		this.id = id;
		this.kind = kind;
		if (config !== undefined) this.#given.push({ data: config, isParsed, isKept: true, application: undefined });
	}

	/** The current record. */
	get record(): ServiceRecord {
		const { state, error } = this.#service!.getSnapshot();
		if (this.#record?.state === state && Object.is(this.#record.error, error)) return this.#record;
		return this.#record = { id: this.id, kind: this.kind, state, error };
	}

	/** Creates the service, and starts it if it should be active. */
	async create(make: ServiceFactory, isActive: boolean): Promise<void> {
		this.#service = await orFail(this.id, () => make(this.id));
		this.checkStay();
		if (isActive) await this.start();
	}

	/** Throws if the service was deleted or has failed meanwhile. */
	checkStay(): void {
		if (this.isLeaving) throw abortError(`The service ${JSON.stringify(this.id)} was deleted during its creation`);
		const { state, error } = this.record;
		if (state === "error") throw new ServiceFailedError(this.id, error);
	}

	/** Calls back at each change. */
	watch(onChange: () => void): void {
		let seen = this.record;
		this.#unsubscribe = this.#service!.subscribe(() => {
			// A listener may have caused a further change, which was reported first: then the outer change is nothing
			// new.
			if (!this.isListed || this.record === seen) return;
			seen = this.record;
			onChange();
		});
	}

	/** Starts the service with its newest readable configuration, unless it is started. */
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

	/** Passes another configuration to the service, and keeps it if it can be read. */
	async configure(data: unknown, isParsed: boolean): Promise<void> {
		if (this.record.state === "inactive") throw inactive(this.id);
		const stops = this.#stops;
		this.#calls++;
		const config: Given = { data, isParsed, isKept: false, application: undefined };
		this.#given.push(config);
		// Configurations are passed on in the order of the calls.
		if (this.#starting !== undefined) await this.#starting;
		if (stops === this.#stops) this.#apply(config);
		// After a stop and a start, the configuration is applied again.
		let seen: Promise<void> | undefined;
		while (seen !== config.application) await (seen = config.application);
	}

	/** Stops the service. Resolves when none of its work is running. */
	async stop(): Promise<void> {
		this.#calls++;
		this.#stops++;
		await this.#service?.stop();
	}

	/** Ends all waits of its creation. */
	interrupt(onError: OnError | undefined): void {
		this.isLeaving = true;
		observe(onError, () => this.stop());
	}

	/** Called when the service is no longer listed. */
	forget(): void {
		this.isListed = false;
		this.#unsubscribe?.();
	}

	/** If the newest configuration cannot be read, its caller gets the error. */
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
		application.catch(() => {}); // its caller may get the error of a later one
		return config.application = application;
	}

	async #configure(config: Given): Promise<void> {
		const { data, isParsed } = config;
		try {
			await (isParsed ? this.#service!.configure(data, { parsed: true }) : this.#service!.configure(data));
		} catch (error) {
			if (!config.isKept) this.#given = this.#given.filter((other) => other !== config);
			// It was stopped by other code than its registry.
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
	return new DOMException(`The service ${JSON.stringify(id)} is not started: start it first`, "InvalidStateError");
}
