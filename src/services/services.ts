/**
 * Services by id and kind: created, configured, started, stopped, deleted and watched in one place.
 *
 * Use {@link Services} if an operator, a control plane or a user decides at run time which services run. Use a single
 * `Lifecycle` for a service that always exists. `upkeep/http` operates a registry over HTTP.
 *
 * @module
 */

import type { ConfigureOptions, LifecycleState } from "../lifecycle/lifecycle.ts";
import { Entry, type ServiceFactory, type ServiceRecord } from "./entry.ts";
import { ServiceNotFoundError, UnknownKindError } from "./errors.ts";
import { Changes, type ServiceChange, type ServiceWatchOptions, Watch } from "./watch.ts";
import { abortError } from "../platform/abort-error.ts";
import { check, checkFunction, checkWord } from "../platform/check.ts";
import { NameInUseError } from "../platform/name-in-use-error.ts";
import { type OnError, report } from "../platform/observe.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";

export type { Service, ServiceFactory, ServiceRecord } from "./entry.ts";
export type { ServiceChange, ServiceWatchOptions } from "./watch.ts";

/** Options for {@link Services}. */
export interface ServicesOptions<K extends string = string> {
	/**
	 * For each kind, a function that creates a service: a new `Lifecycle`, or any other `Service`. It is called with
	 * the id.
	 */
	kinds: Readonly<Record<K, ServiceFactory>>;
	/**
	 * The id of a service that is created without one. `"random"` is a UUID; a page needs a secure context for it
	 * (https or localhost). `"kind"` is the kind, so that at most one service of each kind exists. A function returns
	 * the id.
	 * @default "random"
	 */
	ids?: "random" | "kind" | ((request: ServiceRequest<K>) => string) | undefined;
	/**
	 * Called with an error that a subscriber threw, or that the stop of a service threw after the service could not be
	 * created.
	 */
	onError?: OnError | undefined;
}

/** A request to create a service. */
export interface ServiceRequest<K extends string = string> {
	/** The name in the registry, not empty. @default an id according to the option `ids` of the registry */
	id?: string | undefined;
	/** The kind of the service. */
	kind: K;
	/** The configuration. It is kept and applied at each start, until `configure` replaces it. @default none */
	config?: unknown;
	/** Whether the configuration is a value and not JSON; see {@link ConfigureOptions}. @default false */
	parsed?: boolean | undefined;
	/**
	 * Whether to start the service at once. Otherwise its configuration is first read when it is started.
	 * @default true
	 */
	active?: boolean | undefined;
}

/** Options for {@link Services.list}. */
export interface ServiceQuery {
	/** Only ids after this one, which need not exist. @default "" */
	after?: string | undefined;
	/** The maximum number of services, a positive integer or `Infinity`. @default Infinity */
	limit?: number | undefined;
}

/**
 * A registry of services.
 *
 * The states of a service: (create) → in creation → listed → (delete) → leaving → gone. Its id is reserved when
 * `create` is called. Lists, snapshots and watches show the service only when its creation has succeeded. If it
 * cannot be created, started or configured, or is deleted meanwhile, it leaves no trace and was never visible. A
 * deleted service leaves the list when it has stopped. Until then its other methods reject with a
 * {@link ServiceNotFoundError}.
 *
 * For each service, the registry keeps the last configuration that could be read, and applies it at each start. A
 * single `Lifecycle` does not do this.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Lifecycle, poll, Services } from "upkeep";
 *
 * const greeter = () =>
 * 	new Lifecycle(async (config: { greeting: string }, { signal }) => {
 * 		await poll(() => console.log(config.greeting), { interval: 1_000 }).attach(signal);
 * 	});
 *
 * const services = new Services({ kinds: { greeter } });
 * await services.create({ id: "anna", kind: "greeter", config: { greeting: "hello" } });
 * await services.create({ id: "otto", kind: "greeter", config: { greeting: "good day" }, active: false });
 * assert.deepEqual([...services.states()], [["anna", "active"], ["otto", "inactive"]]);
 *
 * await services.configure("anna", { greeting: "good evening" });
 * await services.start("otto");
 * await services.delete("anna");
 * assert.deepEqual(services.list().map(({ id, state }) => `${id}: ${state}`), ["otto: active"]);
 * await services.stop();
 * ```
 */
export class Services<K extends string = string> implements Subscribable<readonly ServiceRecord[]>, AsyncDisposable {
	readonly #kinds: ReadonlyMap<string, ServiceFactory>;
	readonly #newId: (request: ServiceRequest<never>) => string;
	readonly #onError: OnError | undefined;
	/** Includes services in creation. */
	readonly #entries = new Map<string, Entry>();
	readonly #changes = new Changes();
	readonly #snapshot: Snapshot<readonly ServiceRecord[]>;
	/** The number of running calls of {@link stop} without an id. */
	#stopping = 0;

	/** See {@link Subscribable.subscribe}. */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. Returns the same as {@link list} without options. */
	readonly getSnapshot: () => readonly ServiceRecord[];

	/**
	 * Creates a registry without services.
	 *
	 * @param options the kinds of services, and how ids are chosen
	 * @throws {TypeError} for options of the wrong type
	 */
	constructor(options: ServicesOptions<K>) {
		const { kinds, ids = "random", onError } = check("options", options, "object");
		this.#kinds = new Map(Object.entries<ServiceFactory>(check("kinds", kinds, "object")));
		for (const [kind, make] of this.#kinds) check(`kinds.${kind}`, make, "function");
		this.#newId = typeof ids === "function" ? ids : makers[checkWord("ids", ids, ["random", "kind"])];
		this.#onError = checkFunction("onError", onError);
		this.#snapshot = new Snapshot(() => this.#listed().map(({ record }) => record).sort(byId), onError);
		({ subscribe: this.subscribe, getSnapshot: this.getSnapshot } = this.#snapshot);
	}

	/** The number of the last change; see {@link ServiceWatchOptions.since}. */
	get revision(): number {
		return this.#changes.revision;
	}

	/**
	 * Creates a service. Unless `active` is false, it also starts the service and applies its configuration.
	 *
	 * @returns the record of the service
	 * @throws {TypeError | RangeError} (as a rejection) for a request of the wrong type
	 * @throws {UnknownKindError} (as a rejection) if the kind does not exist
	 * @throws {NameInUseError} (as a rejection) if the id is taken
	 * @throws {InvalidConfigError} (as a rejection) if the configuration cannot be read
	 * @throws {ServiceFailedError} (as a rejection) if the service cannot be created or started, or its state is then
	 * `"error"`, even if it would retry
	 * @throws {DOMException} (as a rejection) named `AbortError` if the service is deleted meanwhile, or all services
	 * are being stopped. In all these cases the service is stopped first, and nothing is left behind
	 */
	async create(request: ServiceRequest<K>): Promise<ServiceRecord> {
		const { id: given, kind, config, active = true, parsed = false } = check("request", request, "object");
		check("active", active, "boolean");
		check("parsed", parsed, "boolean");
		const make = this.#kinds.get(check("kind", kind, "string"));
		if (make === undefined) throw new UnknownKindError(kind, [...this.#kinds.keys()]);
		const id = checkId(given ?? this.#newId(request as ServiceRequest<never>));
		if (this.#entries.has(id)) throw new NameInUseError("service", id, "use another id, or delete that one first");
		if (this.#stopping > 0) throw stopping();
		const entry = new Entry(id, kind, config, parsed);
		this.#entries.set(id, entry);
		try {
			await entry.create(make, active);
			entry.checkStay();
			this.#add(entry);
		} catch (error) {
			await this.#drop(entry);
			throw error;
		} finally {
			entry.settled.release();
		}
		return entry.record;
	}

	/**
	 * Stops a service and removes it from the registry. If the service is in creation, its creation is given up. A
	 * service that awaits its own deletion, in its factory or while it applies a configuration, waits for itself.
	 *
	 * @returns whether the service existed; resolves when none of its work is running
	 * @throws {unknown} (as a rejection) the error that its `stop` threw; then the service still exists
	 */
	async delete(id: string): Promise<boolean> {
		const entry = this.#entries.get(check("id", id, "string"));
		if (entry === undefined) return false;
		if (entry.isLeaving || !entry.isListed) {
			if (!entry.isLeaving) entry.interrupt(this.#onError);
			await entry.settled.wait(undefined);
			return this.#entries.get(id) === entry ? await this.delete(id) : true;
		}
		entry.isLeaving = true;
		try {
			await entry.stop();
			this.#remove(entry);
		} finally {
			entry.isLeaving = false;
			entry.settled.release();
		}
		return true;
	}

	/**
	 * Starts a service with its configuration. Does nothing if it is started.
	 *
	 * @returns the record of the service; its state is `"error"` if its configuration cannot be applied
	 * @throws {ServiceNotFoundError} (as a rejection) if no service has the id
	 * @throws {ServiceFailedError} (as a rejection) if its `start` fails
	 * @throws {InvalidConfigError} (as a rejection) if its configuration cannot be read; then the service is inactive
	 * again
	 * @throws {DOMException} (as a rejection) named `AbortError` if all services are being stopped
	 */
	async start(id: string): Promise<ServiceRecord> {
		const entry = this.#find(id);
		if (this.#stopping > 0) throw stopping();
		await entry.start();
		return entry.record;
	}

	/**
	 * Replaces the configuration of a service.
	 *
	 * @param id the id of the service
	 * @param data the configuration; it is kept
	 * @param options whether the data is a value or JSON
	 * @returns the record of the service, when the configuration has been applied, has failed (the state is then
	 * `"error"`), or was superseded
	 * @throws {ServiceNotFoundError} (as a rejection) if no service has the id
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if the service is not started
	 * @throws {InvalidConfigError} (as a rejection) if the data cannot be read; then nothing has changed
	 */
	async configure(id: string, data: unknown, options: ConfigureOptions = {}): Promise<ServiceRecord> {
		const entry = this.#find(id);
		const { parsed = false } = check("options", options, "object");
		await entry.configure(data, check("parsed", parsed, "boolean"));
		return entry.record;
	}

	/**
	 * Stops a service. It stays in the registry with its configuration. Does nothing if the service is inactive.
	 *
	 * @returns the record of the service
	 * @throws {ServiceNotFoundError} (as a rejection) if no service has the id
	 * @throws {unknown} (as a rejection) the error that its `stop` threw
	 */
	async stop(id: string): Promise<ServiceRecord>;
	/**
	 * Stops all services and gives up running creations. Meanwhile no service can be created or started. The services
	 * stay in the registry with their configurations.
	 *
	 * @throws {AggregateError} (as a rejection) the errors that their `stop`s threw, when all have settled
	 */
	async stop(): Promise<void>;
	async stop(...ids: [id?: string]): Promise<ServiceRecord | void> {
		if (ids.length === 0) return await this.#stopAll(); // an id that is accidentally undefined must not stop all services
		const entry = this.#find(ids[0]!);
		await entry.stop();
		return entry.record;
	}

	/** The same as {@link stop} without an id. */
	async [Symbol.asyncDispose](): Promise<void> {
		await this.stop();
	}

	/** The current record of a service. */
	get(id: string): ServiceRecord | undefined {
		const entry = this.#entries.get(id);
		return entry?.isListed ? entry.record : undefined;
	}

	/**
	 * The services, in the order of their ids (as JavaScript compares strings).
	 *
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range
	 */
	list(options: ServiceQuery = {}): readonly ServiceRecord[] {
		const { after = "", limit = Infinity } = check("options", options, "object");
		check("after", after, "string");
		const isCount = limit === Infinity || (Number.isInteger(limit) && limit > 0);
		check("limit", limit, "number", isCount, "a positive integer, or Infinity");
		const all = this.getSnapshot();
		const start = after === "" ? 0 : all.findIndex(({ id }) => id > after);
		return start < 0 ? [] : all.slice(start, start + limit);
	}

	/** The state of each service by its id, in the order of {@link list}. */
	states(): Map<string, LifecycleState> {
		return new Map(this.getSnapshot().map(({ id, state }) => [id, state]));
	}

	/**
	 * Yields the existing services, each as `"added"`, and then each change in order. It ends when the signal aborts
	 * or `return` is called, for example by a `break` in `for await`.
	 *
	 * A slow consumer gets the latest state of a service instead of each intermediate state, and no event about a
	 * service that was created and deleted meanwhile. A service that was replaced by another one with the same id is
	 * `"removed"` and then `"added"`. The registry never waits for a consumer, and keeps at most one entry per id for
	 * it.
	 *
	 * @returns an iterator; its `next` rejects with a RangeError if `since` is not remembered; see {@link remembers}
	 * @throws {TypeError} for options of the wrong type
	 *
	 * @example
	 * ```ts
	 * import assert from "node:assert/strict";
	 * import { Lifecycle, Services } from "upkeep";
	 *
	 * const services = new Services({ kinds: { backup: () => new Lifecycle(() => {}) } });
	 * await services.create({ id: "nightly", kind: "backup" });
	 * const seen: string[] = [];
	 * for await (const { type, id, state } of services.watch()) {
	 * 	seen.push(`${type} ${id} ${state}`);
	 * 	if (type === "added") services.stop(id).then(() => services.delete(id));
	 * 	if (type === "removed") break;
	 * }
	 * assert.deepEqual(seen, ["added nightly active", "updated nightly inactive", "removed nightly inactive"]);
	 * ```
	 */
	watch(options: ServiceWatchOptions = {}): AsyncIterableIterator<ServiceChange, undefined> & AsyncDisposable {
		return new Watch(this.#changes, () => this.#listed(), check("options", options, "object"));
	}

	/**
	 * Whether `watch` can begin at this revision: the revision is 0, or it has been reached and at most 1,000 services
	 * were removed since.
	 */
	remembers(revision: number): boolean {
		return this.#changes.knows(revision);
	}

	#add(entry: Entry): void {
		entry.isListed = true;
		entry.watch(() => {
			this.#changes.update(entry);
			this.#snapshot.changed();
		});
		this.#changes.add(entry);
		this.#snapshot.changed();
	}

	#remove(entry: Entry): void {
		entry.forget();
		this.#entries.delete(entry.id);
		this.#changes.remove(entry);
		this.#snapshot.changed();
	}

	/** Removes a service that could not be created. */
	async #drop(entry: Entry): Promise<void> {
		try {
			await entry.stop();
		} catch (error) {
			report(this.#onError, error);
		}
		this.#entries.delete(entry.id);
	}

	async #stopAll(): Promise<void> {
		this.#stopping++;
		const stops = [...this.#entries.values()].map((entry) => entry.isListed ? entry.stop() : this.delete(entry.id));
		const outcomes = await Promise.allSettled(stops);
		this.#stopping--;
		const errors = outcomes.flatMap((outcome) => outcome.status === "rejected" ? [outcome.reason] : []);
		if (errors.length > 0) throw new AggregateError(errors, "Some services could not be stopped");
	}

	#find(id: string): Entry {
		const entry = this.#entries.get(check("id", id, "string"));
		if (entry === undefined || !entry.isListed || entry.isLeaving) throw new ServiceNotFoundError(id);
		return entry;
	}

	#listed(): Entry[] {
		return [...this.#entries.values()].filter(({ isListed }) => isListed);
	}
}

/** The functions behind the words of {@link ServicesOptions.ids}. */
const makers = {
	random: () => crypto.randomUUID(),
	kind: ({ kind }: { readonly kind: string }) => kind,
};

function checkId(id: string): string {
	return check("id", id, "string", id !== "", "a string that is not empty");
}

function stopping(): DOMException {
	return abortError("All services are being stopped");
}

function byId(a: ServiceRecord, b: ServiceRecord): number {
	return a.id < b.id ? -1 : 1;
}
