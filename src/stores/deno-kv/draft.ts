/**
 * One commit in the making: what it has read, and what it will write.
 *
 * @module
 */

import { ask, type DenoKvOperation } from "./database.ts";
import type { WakeReason } from "../../basket/store.ts";
import type { Entry, Space, Tail } from "./space.ts";

interface Known {
	readonly tail: Tail;
	/** As it will be after this commit. */
	value: unknown;
	/** As it was read; `undefined` if it was only written. */
	readonly versionstamp: string | null | undefined;
	isChecked: boolean;
	isWritten: boolean;
}

/**
 * Reads see what the same commit has written before, so that several calls can share the transaction of a caller. What a
 * write is founded on has to be checked: then the commit fails if that was changed meanwhile.
 */
export class Draft {
	readonly space: Space;
	readonly #operation: DenoKvOperation;
	readonly #known = new Map<string, Known>();
	#checks = 0;
	#mutations = 0;
	#turn: Promise<unknown> | undefined;

	constructor(space: Space, operation: DenoKvOperation = space.kv.atomic()) {
		this.space = space;
		this.#operation = operation;
		const { guard } = space.schema;
		if (guard === undefined) return;
		this.#checks++;
		operation.check(guard);
	}

	/** How much of a commit is used up: 1,000 is all of its 1,000 changes, or all of its 100 checks. */
	get load(): number {
		return Math.max(this.#checks * 10, this.#mutations);
	}

	/** Reads many keys ahead, which is much faster than one after the other. */
	async readAhead(tails: readonly Tail[]): Promise<void> {
		const unknown = tails.filter((tail) => !this.#known.has(nameOf(tail)));
		if (unknown.length === 0) return;
		for (const { tail, value, versionstamp } of await this.space.read(unknown)) {
			this.#learn(nameOf(tail), { tail, value, versionstamp });
		}
	}

	/** What is there; `undefined` if nothing is. */
	async read(tail: Tail): Promise<unknown> {
		await this.readAhead([tail]);
		return this.recall(tail);
	}

	/** As {@link read}, of what was read or written here. */
	recall(tail: Tail): unknown {
		return this.#known.get(nameOf(tail))!.value;
	}

	/** As {@link read}, and lets the commit fail if it is changed before. */
	async readFirmly(tail: Tail): Promise<unknown> {
		const value = await this.read(tail);
		this.check(tail);
		return value;
	}

	/** Lets the commit fail if a key that was read is changed before. */
	check(tail: Tail): void {
		const known = this.#known.get(nameOf(tail))!;
		if (known.isChecked || known.versionstamp === undefined) return;
		known.isChecked = true;
		this.#checks++;
		this.#operation.check({ key: this.space.key(tail), versionstamp: known.versionstamp });
	}

	/** Lets the commit fail if what was listed is changed before. */
	expect(entry: Entry): void {
		this.#learn(nameOf(entry.tail), entry);
		this.check(entry.tail);
	}

	/** What was listed, as it is by now. */
	latest({ tail, value }: Entry): unknown {
		const known = this.#known.get(nameOf(tail));
		return known?.isWritten ? known.value : value;
	}

	/** Whether this commit itself has written a key. */
	hasWritten(tail: Tail): boolean {
		return this.#known.get(nameOf(tail))?.isWritten ?? false;
	}

	/** Lets the commit fail unless there is nothing under a key by then. */
	expectNone(tail: Tail): void {
		this.#checks++;
		this.#operation.check({ key: this.space.key(tail), versionstamp: null });
	}

	/** Lets the commit fail in any case: no key is of a version from the end of time. */
	fail(): void {
		this.#operation.check({ key: this.space.key(["bell"]), versionstamp: "f".repeat(20) });
	}

	set(tail: Tail, value: unknown): void {
		this.#write(tail, value);
		this.#operation.set(this.space.key(tail), value);
	}

	delete(tail: Tail): void {
		this.#write(tail, undefined);
		this.#operation.delete(this.space.key(tail));
	}

	/** Tells those who watch, once; each reason has a bell of its own, so that none drowns out another. */
	ring(...reason: WakeReason[]): void {
		const tail = ["bell", ...reason];
		if (!this.#known.has(nameOf(tail))) this.set(tail, crypto.randomUUID());
	}

	/** The first key with this beginning, stored or written here, and not removed here. */
	async first(prefix: Tail): Promise<Tail | undefined> {
		const written = [...this.#known.values()].filter(({ tail, isWritten }) => isWritten && startsWith(tail, prefix));
		const stored = await this.space.all(prefix, { limit: written.length + 1 });
		return [...stored, ...written].map(({ tail }) => tail)
			.filter((tail) => !this.#isRemoved(tail))
			.sort((a, b) => a.at(-1)! < b.at(-1)! ? -1 : 1)[0];
	}

	/** Does one thing after the other, as each has to see what those before it have written; the first one at once. */
	inTurn<R>(work: () => Promise<R>): Promise<R> {
		const done = this.#turn === undefined ? work() : this.#turn.then(work);
		const turn = this.#turn = done.then(() => {}, () => {}).then(() => {
			if (this.#turn === turn) this.#turn = undefined;
		});
		return done;
	}

	/** Says whether it was made: not if something that was checked has changed. */
	async commit(): Promise<boolean> {
		if (this.#mutations === 0) return true;
		const { ok } = await ask(() => this.#operation.commit());
		if (!ok) await this.space.schema.verify();
		return ok;
	}

	#learn(name: string, { tail, value, versionstamp }: Entry): void {
		this.#known.set(name, { tail, value, versionstamp, isChecked: false, isWritten: false });
	}

	#write(tail: Tail, value: unknown): void {
		this.#mutations++;
		const name = nameOf(tail);
		const { versionstamp, isChecked = false } = this.#known.get(name) ?? {};
		this.#known.set(name, { tail, value, versionstamp, isChecked, isWritten: true });
	}

	#isRemoved(tail: Tail): boolean {
		const known = this.#known.get(nameOf(tail));
		return known !== undefined && known.isWritten && known.value === undefined;
	}
}

function nameOf(tail: Tail): string {
	return JSON.stringify(tail);
}

function startsWith(tail: Tail, prefix: Tail): boolean {
	return prefix.every((part, index) => tail[index] === part);
}
