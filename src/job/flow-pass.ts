/**
 * One pass of the body of a durable function: it is called from its start, and the promises of names that are recorded settle
 * in the order of the log.
 *
 * Each settles in a macrotask of its own, so that between two of them everything happens that the body does because of the
 * first. It would be faster to let them settle while they are registered if no other promise is open: but another branch of the
 * body may be about to register one, and then a race could have another winner. A record whose name is not registered when
 * nothing happens any more was removed from the code.
 *
 * @module
 */

import type { FlowRecord } from "./state.ts";
import { FlowCall, type FlowRequest } from "./flow-call.ts";
import { isThenable } from "../basket/engine.ts";
import { validate } from "../platform/standard-schema.ts";

/** The run that a pass belongs to. */
export interface PassOwner {
	/** Calls back in a new macrotask. */
	soon(callback: () => void): void;
	/** The order that a name without a record had when it was registered first. */
	orderOf(name: string): number | undefined;
	/** A name without a record was registered. */
	begin(call: FlowCall): void;
	/** Everything has settled that can, and nothing happens any more. */
	rest(): void;
	/** The log has another type for a name. */
	mismatch(problem: TypeError): void;
	/** A stored result does not pass its schema. */
	contradict(problem: unknown): void;
	/** The body has made a mistake, which ends the job even if it is caught. */
	refuse(error: TypeError): void;
}

export class FlowPass {
	/** The names that are registered. Those of which nothing more is needed have no call. */
	readonly calls: Map<string, FlowCall | undefined> = new Map();
	/**
	 * The calls that have not settled, in any order. An array, because V8 makes a new table after every few changes of a small
	 * set, and its tables keep each other alive.
	 */
	readonly open: FlowCall[] = [];
	/** Whether the promises do not settle anymore. */
	isOver = false;
	readonly #owner: PassOwner;
	/** The results, in the order in which they settle. */
	readonly #records: FlowRecord[] = [];
	/** The indexes of those that were there before the pass. */
	readonly #indexes = new Map<string, number>();
	readonly #orders = new Set<number>();
	/** Every record before has settled, or was not registered in time. */
	#cursor = 0;
	/** The registered calls with a record that have not settled, by its index. */
	readonly #ready: (FlowCall | undefined)[] = [];
	#readyCount = 0;
	/** The least order that the next new name can have. */
	#nextOrder = 0;
	#isReading = false;
	#isTicking = false;

	constructor(owner: PassOwner, records: Iterable<FlowRecord>) {
		this.#owner = owner;
		for (const record of records) {
			const { name, isRevert } = record;
			if (name !== undefined && !isRevert) this.#indexes.set(name, this.#append(record));
		}
	}

	/** Whether records remain that may belong to names which are not registered yet. */
	get isReplaying(): boolean {
		return this.#cursor < this.#records.length || this.#readyCount > 0 || this.#isReading;
	}

	/** Reserves the orders of names that have no record. */
	reserve(order: number): void {
		this.#orders.add(order);
	}

	register(request: FlowRequest): FlowCall {
		const { name, type } = request;
		// The job has gone on without this pass, whose promises do not settle.
		if (this.isOver) return new FlowCall(request, 0);
		if (this.calls.has(name)) {
			const error = new TypeError(`The name ${JSON.stringify(name)} is used twice`);
			this.#owner.refuse(error);
			throw error;
		}
		const index = this.#indexes.get(name);
		const record = index === undefined ? undefined : this.#records[index];
		const call = new FlowCall(request, record?.order ?? this.#owner.orderOf(name) ?? this.#newOrder());
		this.calls.set(name, call);
		call.place = this.open.push(call) - 1;
		if (record === undefined) this.#owner.begin(call);
		else if (record.type === type) this.#arrive(call, record, index!);
		else this.#owner.mismatch(new TypeError(`${JSON.stringify(name)} is a ${type}, but the log has a ${record.type}`));
		return call;
	}

	/** The result of a call is stored. */
	record(call: FlowCall, record: FlowRecord): void {
		const index = this.#append(record);
		if (!this.isOver) this.#arrive(call, record, index);
	}

	/** Looks what can settle or begin when everything else has happened. */
	tick(): void {
		if (this.#isTicking || this.isOver) return;
		this.#isTicking = true;
		this.#owner.soon(() => {
			this.#isTicking = false;
			if (!this.isOver && !this.#isReading) this.#tick();
		});
	}

	#append(record: FlowRecord): number {
		this.#orders.add(record.order!);
		this.#ready.push(undefined);
		return this.#records.push(record) - 1;
	}

	/** The least order that nothing has: that of the first pass, if names were registered since that have no record. */
	#newOrder(): number {
		while (this.#orders.has(this.#nextOrder)) this.#nextOrder++;
		return this.#nextOrder++;
	}

	#arrive(call: FlowCall, record: FlowRecord, index: number): void {
		call.record = record;
		call.index = index;
		call.isParked = false;
		this.#ready[index] = call;
		this.#readyCount++;
		if (index < this.#cursor) this.#cursor = index;
		this.tick();
	}

	#tick(): void {
		while (this.#cursor < this.#records.length && this.#ready[this.#cursor] === undefined) this.#cursor++;
		const call = this.#ready[this.#cursor];
		if (call === undefined) return this.#owner.rest();
		this.#settle(call, call.record!);
	}

	#settle(call: FlowCall, { error, value, order }: FlowRecord): void {
		this.#ready[call.index] = undefined;
		this.#readyCount--;
		this.#cursor = call.index + 1;
		this.#nextOrder = Math.max(this.#nextOrder, order! + 1);
		const { schema } = call.request;
		if (error !== undefined) {
			const thrown = call.thrown ??= { error: Object.assign(new Error(error.message), error) };
			return this.#finish(call, () => call.reject(thrown.error));
		}
		const accept = (value: unknown) => this.#finish(call, () => call.resolve(value));
		if (schema === undefined) return accept(value);
		this.#isReading = true;
		const refuse = (error: unknown) => this.isOver || this.#owner.contradict(error);
		try {
			const valid = validate(schema, value);
			if (isThenable(valid)) void valid.then(accept, refuse);
			else accept(valid);
		} catch (error) {
			refuse(error);
		}
	}

	#finish(call: FlowCall, settle: () => void): void {
		const last = this.open.pop()!;
		if (last !== call) this.open[last.place = call.place] = last;
		this.#isReading = false;
		if (this.isOver) return;
		settle();
		// A body may make thousands. A call that has rejected may be why the body does.
		const { isAwaited, record, request: { name, options } } = call;
		if (isAwaited && record!.error === undefined && options.revert === undefined) this.calls.set(name, undefined);
		if (this.open.length > 0) this.tick();
	}
}
