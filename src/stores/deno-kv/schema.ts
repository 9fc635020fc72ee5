/**
 * The version of the stored data, and the check in each commit that it has not changed.
 *
 * @module
 */

import type { Resource } from "../../platform/resource.ts";
import { StoreError } from "../../platform/store-error.ts";
import { ask, type DenoKv, type DenoKvKeyPart } from "./database.ts";

/**
 * The schema version of this library. Version 2 has limits: an older library would lose the tasks behind their gates.
 * The other rows are those of version 1.
 */
const version = 2;

/** A check that makes a commit fail if another version of the library has changed the schema. */
export interface Guard {
	readonly key: DenoKvKeyPart[];
	readonly versionstamp: string;
}

/** States: unknown → (open) → known → (verify) → known, or unchanged, so that every commit fails. */
export class Schema {
	readonly #kv: Resource<DenoKv>;
	readonly #key: DenoKvKeyPart[];
	#guard: Guard | undefined;

	constructor(kv: Resource<DenoKv>, prefix: readonly DenoKvKeyPart[]) {
		this.#kv = kv;
		this.#key = [...prefix, "schema"];
	}

	/** The check for a commit; absent before {@link open}. */
	get guard(): Guard | undefined {
		return this.#guard;
	}

	/** Reads the stored version, and stores the current one if there is none, or an older one. */
	async open(): Promise<void> {
		const key = this.#key;
		for (;;) {
			const [found] = await ask(() => this.#kv.value.getMany([key]));
			const { value, versionstamp } = found!;
			if (versionstamp === null || Number(value) < version) await ask(() => this.#commit(versionstamp));
			else if (Number(value) === version) return void (this.#guard = { key, versionstamp });
			else throw newerSchema(value);
		}
	}

	/** Determines whether a commit failed because of the schema. */
	async verify(): Promise<void> {
		if (this.#guard !== undefined) await this.open();
	}

	#commit(versionstamp: string | null): Promise<unknown> {
		const operation = this.#kv.value.atomic();
		operation.check({ key: this.#key, versionstamp });
		operation.set(this.#key, version);
		return operation.commit();
	}
}

function newerSchema(found: unknown): StoreError {
	const message = `The database has the schema ${
		String(found)
	}, but this library knows only ${version}: update the library`;
	return new StoreError("newer-schema", message);
}
