/**
 * A test that does hundreds of random things to a store, and to a model of it that is too simple to be wrong: an array of
 * tasks, looked through from the beginning each time.
 *
 * @module
 */

import type { Change, Message, NewTask, Outcome, Ref, TaskState } from "../../basket/store.ts";
import { between, equal, show } from "./assert.ts";
import { type Bench, claimed, idsOf, newTask, type StoreTest } from "./bench.ts";

/** How many things are done. */
const steps = 400;
const basket = "basket";
const kinds = ["a", "b", "c"];

/** The test of one sequence of random things. */
export function modelTest(seed: number): StoreTest {
	return {
		title: "turn() and all others agree with a simple model, whatever is done in whatever order",
		async run(bench) {
			const both = new StoreAndModel(bench, seed);
			try {
				for (let step = 0; step < steps; step++) await both.step();
			} catch (error) {
				const { message } = error as Error;
				const last = both.log.slice(-8).join("\n\t");
				throw new Error(`${message}\nseed ${seed}, step ${both.log.length}, after\n\t${last}`, { cause: error });
			}
		},
	};
}

/** A task as the model has it. Instants are milliseconds since the beginning. */
interface ModelTask {
	readonly id: string;
	readonly kind: string;
	readonly priority: number;
	readonly lane: string | undefined;
	payload: NewTask["payload"];
	state: Exclude<TaskState, "held">;
	isHeld: boolean;
	isBackingOff: boolean;
	attempts: number;
	crashes: number;
	error: string | undefined;
	progress: string | undefined;
	inbox: Message[];
	posted: number;
	addedAt: number;
	dueAt: number;
	/** What the store may make of `dueAt`; the model takes that over. */
	dueFrom?: number | undefined;
	dueTo?: number | undefined;
	token: string | undefined;
}

class StoreAndModel {
	readonly log: string[] = [];
	readonly #bench: Bench;
	readonly #random: Random;
	/** In the order of their keys. */
	#tasks: ModelTask[] = [];
	/** Claims that are or were. */
	#refs: Ref[] = [];
	#now = 0;
	/** The store's clock at the beginning, once something tells it. */
	#start: number | undefined;
	/** So that each id and each text is different. */
	#count = 0;

	constructor(bench: Bench, seed: number) {
		this.#bench = bench;
		this.#random = new Random(seed);
	}

	async step(): Promise<void> {
		const actions = [
			...[this.#add, this.#add, this.#add, this.#turn, this.#turn, this.#turn, this.#turn],
			...[this.#extend, this.#save, this.#post, this.#change, this.#change, this.#delete, this.#hasten, this.#pass],
		];
		await this.#random.of(actions).call(this);
		await this.#compare();
	}

	async #add(): Promise<void> {
		const tasks = Array.from({ length: 1 + this.#random.below(4) }, () => this.#newTask());
		this.log.push(`add ${show(tasks)}`);
		const added = await this.#bench.store.add(basket, tasks);
		for (const [index, task] of tasks.entries()) {
			const id = task.id ?? added[index]!.id;
			const before = this.#find(id);
			equal(added[index], { id, added: before === undefined, state: before && stateOf(before) }, `add() of "${id}"`);
			if (added[index]!.added) this.#tasks.push(this.#modelTask({ ...task, id }));
		}
	}

	#newTask(): NewTask {
		const random = this.#random;
		return newTask({
			id: random.of([
				this.#tasks.length < 15 ? undefined : "task 0",
				`task ${random.below(30)}`,
				`task ${random.below(30)}`,
			]),
			kind: random.of(kinds),
			payload: random.of([this.#text(), Uint8Array.of(++this.#count % 256)]),
			delay: this.#duration(),
			priority: random.of([0, 0, 0, 1, -1, 100]),
			lane: random.of([undefined, undefined, "l", "m"]),
		});
	}

	#modelTask({ id, kind, priority, lane, payload, delay }: NewTask & { id: string }): ModelTask {
		const none = { attempts: 0, crashes: 0, error: undefined, progress: undefined, inbox: [], posted: 0 };
		const state = { state: "waiting", isHeld: false, isBackingOff: false, token: undefined } as const;
		const times = { addedAt: this.#now, dueAt: this.#now + delay };
		return { id, kind, priority, lane, payload, ...none, ...state, ...times };
	}

	async #turn(): Promise<void> {
		const random = this.#random;
		const settle = random.some(this.#refs).slice(0, 4).map((ref) => ({ ref, outcome: this.#outcome() }));
		const claim = Array.from({ length: random.below(3) }, () => ({
			kinds: random.some(kinds).concat(random.of(kinds)),
			// Really waiting, nobody knows which of two was due first.
			limit: this.#bench.isExact ? 1 + random.below(4) : 1000,
		}));
		const lease = Math.max(1, this.#duration(1));
		this.log.push(`turn ${show({ settle, claim, lease })}`);
		const turn = await this.#bench.store.turn(basket, { settle, claim, lease });
		equal(turn.settled, settle.map(({ ref, outcome }) => this.#settle(ref, outcome)), "settled");
		const wanted = claim.map((request) => this.#claim(request.kinds, request.limit, lease));
		const order = (ids: string[]) => this.#bench.isExact ? ids : ids.sort();
		equal(order(idsOf(turn.claims)), order(idsOf(wanted.flat())), "claimed");
		for (const given of turn.claims) {
			const task = this.#find(given.id)!;
			const { id, kind, payload, attempts, crashes, priority, lane, error, inbox } = task;
			const { token } = given;
			equal(claimed(given), { id, kind, payload, attempts, crashes, priority, lane, error, inbox }, `claim of "${id}"`);
			equal(this.#refs.some((ref) => ref.id === id && ref.token === token), false, "a token is used again");
			task.token = token;
			this.#refs.push(given);
		}
		if (claim.length > 0) this.#checkDueIn(turn.dueIn, claim.flatMap(({ kinds }) => kinds));
		this.#refs = this.#refs.slice(-20);
	}

	#outcome(): Outcome {
		const random = this.#random;
		const payload = random.of([undefined, this.#text()]);
		const failed = { attempts: random.below(5), error: this.#text(), payload };
		const seen = random.below(4);
		return random.of<Outcome>([
			{ type: "done" },
			{ type: "done", keep: this.#duration(1), payload },
			{ type: "retry", delay: this.#duration(), ...failed },
			{ type: "retry", delay: this.#duration(1), ...failed, backoff: true },
			{ type: "retry", delay: this.#duration(1), ...failed, hold: true },
			{ type: "later", delay: random.of([null, this.#duration()]), seen, payload },
			{ type: "later", delay: this.#duration(1), seen, payload, backoff: true },
			{ type: "dead", ...failed },
			{ type: "release", payload },
		]);
	}

	#settle(ref: Ref, outcome: Outcome): boolean {
		const task = this.#current(ref);
		if (task === undefined) return false;
		if (outcome.payload !== undefined) task.payload = outcome.payload;
		if (outcome.type === "retry" || outcome.type === "dead") {
			task.attempts = outcome.attempts;
			task.error = outcome.error;
		}
		task.isBackingOff = "backoff" in outcome && outcome.backoff === true;
		task.state = outcome.type === "done" || outcome.type === "dead" ? outcome.type : "waiting";
		if (task.state !== "waiting") task.isHeld = false;
		if (outcome.type === "done") {
			task.dueAt = this.#now + (outcome.keep ?? 0);
			if (!outcome.keep) this.#tasks.splice(this.#tasks.indexOf(task), 1);
		} else if (outcome.type === "dead") task.dueAt = Infinity;
		else if (outcome.type === "retry") {
			task.crashes = 0;
			task.dueAt = this.#now + outcome.delay;
			task.isHeld ||= outcome.hold === true;
		} else if (outcome.type === "later") {
			task.attempts = task.crashes = 0;
			task.inbox = task.inbox.filter(({ n }) => n > outcome.seen);
			task.dueAt = this.#now + (task.inbox.length > 0 ? 0 : outcome.delay ?? Infinity);
		} else task.dueAt = this.#now;
		return true;
	}

	#claim(kinds: readonly string[], limit: number, lease: number): ModelTask[] {
		const due = this.#tasks.filter((task) =>
			kinds.includes(task.kind) && this.#canRun(task) && task.dueAt <= this.#now
		);
		due.sort((a, b) => b.priority - a.priority || a.dueAt - b.dueAt);
		for (const task of due.slice(0, limit)) {
			const isCrash = task.state === "running";
			task.attempts += isCrash ? 1 : 0;
			task.crashes += isCrash ? 1 : 0;
			task.state = "running";
			task.dueAt = this.#now + lease;
		}
		return due.slice(0, limit);
	}

	#canRun(task: ModelTask): boolean {
		const isOpen = ({ state }: ModelTask) => state === "waiting" || state === "running";
		const before = this.#tasks.slice(0, this.#tasks.indexOf(task));
		const isBlocked = task.lane !== undefined && before.some((other) => other.lane === task.lane && isOpen(other));
		return isOpen(task) && !task.isHeld && !isBlocked;
	}

	#checkDueIn(dueIn: number, kinds: readonly string[]): void {
		const able = this.#tasks.filter((task) => kinds.includes(task.kind) && this.#canRun(task));
		const wanted = Math.max(0, able.reduce((least, { dueAt }) => Math.min(least, dueAt), Infinity) - this.#now);
		if (wanted === Infinity || wanted === 0) equal(dueIn, wanted, "dueIn");
		else between(dueIn, this.#bench.isExact ? wanted - 1 : 1, wanted + 1, "dueIn");
	}

	async #extend(): Promise<void> {
		const refs = this.#random.some(this.#refs);
		const lease = Math.max(1, this.#duration(1));
		this.log.push(`extend ${show(refs)} ${lease}`);
		const wanted = refs.map((ref) => {
			const task = this.#current(ref);
			if (task !== undefined) task.dueAt = this.#now + lease;
			return task === undefined ? "lost" : task.inbox.length > 0 ? "posted" : "ok";
		});
		equal(await this.#bench.store.extend(basket, refs, lease), wanted, "extend()");
	}

	async #save(): Promise<void> {
		const random = this.#random;
		const saves = random.some(this.#refs).map((ref) => ({
			ref,
			payload: random.of([undefined, this.#text()]),
			progress: random.of([undefined, this.#text()]),
			seen: random.of([undefined, random.below(4)]),
		}));
		this.log.push(`save ${show(saves)}`);
		const wanted = saves.map(({ ref, payload, progress, seen = 0 }) => {
			const task = this.#current(ref);
			if (task === undefined) return false;
			task.payload = payload ?? task.payload;
			task.progress = progress ?? task.progress;
			task.inbox = task.inbox.filter(({ n }) => n > seen);
			return true;
		});
		equal(await this.#bench.store.save(basket, saves), wanted, "save()");
	}

	async #post(): Promise<void> {
		const [id, data] = [this.#anyId(), this.#text()];
		this.log.push(`post ${id} ${data}`);
		const task = this.#find(id);
		const isOpen = task?.state === "waiting" || task?.state === "running";
		equal(await this.#bench.store.post(basket, id, data), isOpen, "post()");
		if (!isOpen) return;
		task.inbox.push({ n: ++task.posted, data });
		if (task.state === "waiting") this.#makeDue(task);
	}

	async #change(): Promise<void> {
		const ids = [...new Set([this.#anyId(), this.#anyId()])];
		const change = this.#random.of<Change>(["retry", "hold", "release"]);
		this.log.push(`change ${show(ids)} ${change}`);
		const changed = await this.#bench.store.change(basket, ids, change);
		for (const [index, id] of ids.entries()) {
			const task = this.#find(id);
			// A second hold may count as a change.
			if (change === "hold" && task?.isHeld) continue;
			equal(changed[index], task !== undefined && await this.#changeOne(task, change), `${change} of "${id}"`);
		}
	}

	async #changeOne(task: ModelTask, change: Change): Promise<boolean> {
		if (change === "retry" && task.state === "dead") {
			const { error, progress, inbox } = await this.#bench.get(task.id);
			const anew = this.#modelTask({ ...task, delay: 0 });
			this.#tasks.splice(this.#tasks.indexOf(task), 1);
			this.#tasks.push({ ...anew, posted: task.posted, error, progress, inbox: [...inbox] });
			return true;
		}
		if (change === "release" && task.isHeld) {
			task.isHeld = false;
			if (task.state === "waiting" && task.dueAt <= this.#now) this.#makeDue(task);
			return true;
		}
		const isWaiting = task.state === "waiting" && !task.isHeld;
		if (change === "retry" && isWaiting) this.#makeDue(task);
		const isHolding = change === "hold" && (isWaiting || task.state === "running");
		if (isHolding) task.isHeld = true;
		return isHolding || (change === "retry" && isWaiting);
	}

	/** One that is due already may stay so or become so anew. */
	#makeDue(task: ModelTask): void {
		task.dueAt = Math.min(task.dueAt, this.#now);
		task.dueFrom = -Infinity;
		task.dueTo = this.#now;
	}

	async #delete(): Promise<void> {
		const ids = [...new Set([this.#anyId(), this.#anyId()])].slice(this.#random.below(2));
		this.log.push(`delete ${show(ids)}`);
		const wanted = ids.map((id) => this.#find(id) !== undefined);
		this.#tasks = this.#tasks.filter(({ id }) => !ids.includes(id));
		equal(await this.#bench.store.delete(basket, ids), wanted, "delete()");
	}

	async #hasten(): Promise<void> {
		const within = this.#bench.isExact ? this.#duration() : 0;
		this.log.push(`hasten ${within}`);
		const isLate = ({ dueAt }: ModelTask) => dueAt > this.#now + within;
		const late = this.#tasks.filter((task) =>
			task.isBackingOff && task.state === "waiting" && !task.isHeld && isLate(task)
		);
		equal(await this.#bench.store.hasten(basket, within), late.length, "hasten()");
		for (const task of late) {
			Object.assign(task, { dueFrom: this.#now, dueTo: this.#now + within });
			if (within === 0) task.dueAt = this.#now;
		}
	}

	async #pass(): Promise<void> {
		if (!this.#bench.isExact) return;
		const units = this.#random.of([1, 1, 2, 5]);
		this.log.push(`pass ${units} units`);
		await this.#bench.pass(units);
		this.#now += units * this.#bench.unit;
		this.#tasks = this.#tasks.filter((task) => task.state !== "done" || task.dueAt > this.#now);
	}

	/** All that can be seen of the store, and of the model. */
	async #compare(): Promise<void> {
		const listed = await this.#bench.list();
		equal(idsOf(listed), idsOf(this.#tasks), "tasks");
		const counts: Record<string, number> = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		for (const [index, { key: _, addedAt, dueAt, ...given }] of listed.entries()) {
			const task = this.#tasks[index]!;
			const { id, kind, priority, lane, payload, attempts, crashes, error, progress } = task;
			const state = stateOf(task);
			// What nobody has said of tasks that are over is left to the store.
			if (state === "done") Object.assign(given, { attempts, error });
			if (state === "done" || state === "dead") Object.assign(given, { crashes });
			const wanted = { id, kind, priority, lane, payload, state, attempts, crashes, error, progress };
			equal(given, wanted, `"${id}"`);
			counts[state]!++;
			if (this.#bench.isExact) this.#compareTimes(task, state, addedAt, dueAt);
		}
		equal(await this.#bench.store.counts(basket), counts, "counts()");
		const some = this.#random.some(this.#tasks)[0];
		if (some !== undefined) equal((await this.#bench.get(some.id)).inbox, some.inbox, `inbox of "${some.id}"`);
	}

	#compareTimes(task: ModelTask, state: TaskState, addedAt: number, given: number | undefined): void {
		this.#start ??= addedAt - task.addedAt;
		equal(addedAt - this.#start, task.addedAt, `addedAt of "${task.id}"`);
		const dueAt = given === undefined ? Infinity : given - this.#start;
		// When a held one is due matters only when it is released.
		if (state === "held") return;
		between(dueAt, task.dueFrom ?? task.dueAt, task.dueTo ?? task.dueAt, `dueAt of "${task.id}"`);
		task.dueAt = dueAt;
		task.dueFrom = task.dueTo = undefined;
	}

	#find(id: string): ModelTask | undefined {
		return this.#tasks.find((task) => task.id === id);
	}

	/** The task of a claim that is not lost. */
	#current({ id, token }: Ref): ModelTask | undefined {
		return this.#tasks.find((task) => task.id === id && task.state === "running" && task.token === token);
	}

	#anyId(): string {
		return this.#random.of([...idsOf(this.#tasks), "nobody"]);
	}

	#text(): string {
		return `text ${++this.#count}`;
	}

	/** A duration of which nobody can doubt whether it is over. */
	#duration(least = 0): number {
		const { isExact, unit, long } = this.#bench;
		if (!isExact) return least === 0 ? this.#random.of([0, 0, long]) : long;
		return unit * Math.max(least, this.#random.of([0, 0, 1, 2, 3, 10]));
	}
}

function stateOf({ state, isHeld }: ModelTask): TaskState {
	return isHeld && state === "waiting" ? "held" : state;
}

/** Marsaglia's xorshift with 32 bits: the same numbers everywhere for the same seed. */
class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = (seed | 0) || 1;
		for (let round = 0; round < 10; round++) this.below(2);
	}

	/** A whole number from 0 to below `end`. */
	below(end: number): number {
		this.#state ^= this.#state << 13;
		this.#state ^= this.#state >>> 17;
		this.#state ^= this.#state << 5;
		return Math.floor((this.#state >>> 0) / 4_294_967_296 * end);
	}

	of<T>(items: readonly T[]): T {
		return items[this.below(items.length)]!;
	}

	/** None, some or all of them, in any order. */
	some<T>(items: readonly T[]): T[] {
		const left = [...items];
		return Array.from({ length: this.below(items.length + 1) }, () => left.splice(this.below(left.length), 1)[0]!);
	}
}
