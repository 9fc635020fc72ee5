/**
 * Services by id and kind: created, configured, started, stopped, deleted and watched in one place.
 *
 * Use {@link Services} when what runs is decided while the program runs: by an operator, a control plane, or a user. Use
 * `Lifecycle` alone for a service that is always there. `upkeep/http` operates a registry over HTTP.
 *
 * @module
 */

import type { ConfigureOptions, LifecycleState } from "../lifecycle/lifecycle.ts";
import { Entry, type ServiceFactory, type ServiceRecord } from "./entry.ts";
import { ServiceNotFoundError, UnknownKindError } from "./errors.ts";
import { Changes, type ServiceChange, type ServiceWatchOptions, Watch } from "./watch.ts";

export type { Service, ServiceFactory, ServiceRecord } from "./entry.ts";
export type { ServiceChange, ServiceWatchOptions } from "./watch.ts";
import { abortError } from "../platform/abort-error.ts";
import { check, checkFunction, checkWord } from "../platform/check.ts";
import { NameInUseError } from "../platform/name-in-use-error.ts";
import { type OnError, report } from "../platform/observe.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";

/** What a registry of {@link Services} can be told. */
export interface ServicesOptions<K extends string = string> {
	/** Makes a service of each kind: a new `Lifecycle`, or anything else that is a `Service`. It is given the id. */
	kinds: Readonly<Record<K, ServiceFactory>>;
	/**
	 * Which id a service gets that is created without one: `"random"`, a UUID, for which a page needs a secure context (https,
	 * or localhost); `"kind"`, its kind, so that there is at most one of each; or what a function returns.
	 * @default "random"
	 */
	ids?: "random" | "kind" | ((request: ServiceRequest<K>) => string) | undefined;
	/** Told what a subscriber threw, and what the stop of a service threw that could not be created. */
	onError?: OnError | undefined;
}

/** A service that is to be created. */
export interface ServiceRequest<K extends string = string> {
	/** Its name in the registry, not empty. @default what the option `ids` of the registry says */
	id?: string | undefined;
	/** What it is. */
	kind: K;
	/**
	 * Its configuration, which is kept and applied at each start, until `configure` replaces it. @default none
	 */
	config?: unknown;
	/** Whether the configuration is a value already, and no JSON; see {@link ConfigureOptions}. @default false */
	parsed?: boolean | undefined;
	/** Whether to start it at once. If not, its configuration is not read before its first start. @default true */
	active?: boolean | undefined;
}

/** Which part of the list is wanted. */
export interface ServiceQuery {
	/** Only ids after this one, which need not exist. @default "" */
	after?: string | undefined;
	/** How many at most, a positive integer or `Infinity`. @default Infinity */
	limit?: number | undefined;
}

/**
 * A registry of services.
 *
 * A service: (create) → in creation → listed → (delete) → leaving → gone. Its id is taken from the moment `create` is
 * called, but it is seen (in lists, snapshots and watches) only once it is there: if it cannot be made, started or
 * configured, or is deleted meanwhile, nothing of it is left and nobody has seen it. It leaves the list when it has
 * stopped. While it leaves, its other methods reject with a {@link ServiceNotFoundError}.
 *
 * The registry keeps the last configuration of each service that could be read and applies it at each start, which a
 * `Lifecycle` by itself does not.
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
	/** Also those that are in creation. */
	readonly #entries = new Map<string, Entry>();
	readonly #changes = new Changes();
	readonly #snapshot: Snapshot<readonly ServiceRecord[]>;
	/** How many calls of {@link stop} without an id are under way. */
	#stopping = 0;

	/** See {@link Subscribable.subscribe}. */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}: the same as {@link list} without options. */
	readonly getSnapshot: () => readonly ServiceRecord[];

	/**
	 * Makes a registry without services.
	 *
	 * @param options which kinds there are, and how ids are made
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

	/** The number of the last change that there was; see {@link ServiceWatchOptions.since}. */
	get revision(): number {
		return this.#changes.revision;
	}

	/**
	 * Creates a service, starts it and applies its configuration, unless it is to be inactive.
	 *
	 * @returns the service as it then is
	 * @throws {TypeError | RangeError} (as a rejection) for a request of the wrong type
	 * @throws {UnknownKindError} (as a rejection) if there is no such kind
	 * @throws {NameInUseError} (as a rejection) if the id is taken
	 * @throws {InvalidConfigError} (as a rejection) if the configuration does not read
	 * @throws {ServiceFailedError} (as a rejection) if the service cannot be made or started, or ends in the state
	 * `"error"`, even if it would try again
	 * @throws {DOMException} (as a rejection) named `AbortError` if it is deleted meanwhile, or all are being stopped; in
	 * all these cases it is stopped first, and nothing is left behind
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
	 * Stops a service and removes it from the registry; one that is being created is given up. Whoever deletes it in its
	 * own `create` or application, and awaits that, waits for itself.
	 *
	 * @returns whether there was one, once nothing of it is left
	 * @throws {unknown} (as a rejection) what its `stop` threw; then it is still there
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
	 * Starts a service with its configuration. Harmless if it is started.
	 *
	 * @returns the service as it then is; in the state `"error"` if its configuration cannot be applied
	 * @throws {ServiceNotFoundError} (as a rejection) if there is none
	 * @throws {ServiceFailedError} (as a rejection) if its `start` fails
	 * @throws {InvalidConfigError} (as a rejection) if its configuration does not read; then it is inactive again
	 * @throws {DOMException} (as a rejection) named `AbortError` if all are being stopped
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
	 * @param id which service
	 * @param data what the service reads; it is kept
	 * @param options whether the data is a value already
	 * @returns the service once the configuration was applied, has failed (the state is then `"error"`), or was superseded
	 * @throws {ServiceNotFoundError} (as a rejection) if there is none
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if it is not started
	 * @throws {InvalidConfigError} (as a rejection) if the data does not read; then nothing has changed
	 */
	async configure(id: string, data: unknown, options: ConfigureOptions = {}): Promise<ServiceRecord> {
		const entry = this.#find(id);
		const { parsed = false } = check("options", options, "object");
		await entry.configure(data, check("parsed", parsed, "boolean"));
		return entry.record;
	}

	/**
	 * Stops a service, which stays in the registry with its configuration. Harmless if it is inactive.
	 *
	 * @returns the service as it then is
	 * @throws {ServiceNotFoundError} (as a rejection) if there is none
	 * @throws {unknown} (as a rejection) what its `stop` threw
	 */
	async stop(id: string): Promise<ServiceRecord>;
	/**
	 * Stops all services, and gives up those that are being created; nothing can be created or started meanwhile. The
	 * services stay in the registry with their configurations.
	 *
	 * @throws {AggregateError} (as a rejection) what their `stop`s threw, once all have settled
	 */
	async stop(): Promise<void>;
	async stop(...ids: [id?: string]): Promise<ServiceRecord | void> {
		if (ids.length === 0) return await this.#stopAll(); // an id that is undefined by mistake must not stop all
		const entry = this.#find(ids[0]!);
		await entry.stop();
		return entry.record;
	}

	/** The same as {@link stop} without an id. */
	async [Symbol.asyncDispose](): Promise<void> {
		await this.stop();
	}

	/** A service as it is now. */
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
		check("limit", limit, "number", (limit === Infinity || Number.isInteger(limit)) && limit > 0, "a positive integer");
		const all = this.getSnapshot();
		const start = after === "" ? 0 : all.findIndex(({ id }) => id > after);
		return start < 0 ? [] : all.slice(start, start + limit);
	}

	/** The state of each service by its id, in the order of {@link list}. */
	states(): Map<string, LifecycleState> {
		return new Map(this.getSnapshot().map(({ id, state }) => [id, state]));
	}

	/**
	 * Gives the services that are there, each as `"added"`, and then each change in its order, until the signal aborts or
	 * `return` is called, as a `break` out of `for await` does. It then just ends.
	 *
	 * Who is slow gets the latest state of a service instead of each one in between, and nothing about a service that has
	 * come and gone meanwhile; one that was replaced by another of the same id is `"removed"` and then `"added"`. Nothing
	 * waits for somebody who watches, and what is kept for him is at most one entry for each id.
	 *
	 * @returns an iterator whose `next` rejects with a RangeError if `since` is not remembered; see {@link remembers}
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
	watch(options: ServiceWatchOptions = {}): AsyncIterableIterator<ServiceChange, undefined> {
		return new Watch(this.#changes, () => this.#listed(), check("options", options, "object"));
	}

	/**
	 * Whether `watch` can begin at this revision: it is 0, or was reached and not more than 1,000 services were removed
	 * since.
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

	/** Takes back what could not be created. */
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

/** Ids by one of the words of {@link ServicesOptions.ids}. */
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
