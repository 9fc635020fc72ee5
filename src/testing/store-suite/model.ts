/**
 * A test that applies hundreds of random actions to a store and to a model of it, and compares both after each
 * action.
 *
 * @module
 */

import {
	type Change,
	type Claim,
	isOfKind,
	type KindLimit,
	type LogPart,
	type NewTask,
	type Outcome,
	type Ref,
	type TaskState,
	taskStates,
} from "../../basket/store.ts";
import { between, equal, fail, show } from "./assert.ts";
import { type Bench, claimed, idsOf, newTask, type StoreTest } from "./bench.ts";
import { type ModelTask, stateOf } from "./model-task.ts";
import { Random } from "./random.ts";
import { randomTest } from "./random-test.ts";
import { TaskModel } from "./task-model.ts";

/** The number of actions. */
const steps = 400;
const basket = "basket";
const kinds = ["a", "b", "c", "a\u001f2"];
const limitKeys = ["", "x", "y"];
/** The payload of tasks whose items are collected. */
const envelope = "\u0002{}";

/** The test of one random sequence. */
export function modelTest(seed: number): StoreTest {
	return randomTest(
		"turn() and all others agree with a simple model, whatever is done in whatever order",
		seed,
		steps,
		(bench) => new StoreAndModel(bench, seed),
	);
}

class StoreAndModel {
	readonly log: string[] = [];
	readonly #bench: Bench;
	readonly #random: Random;
	readonly #model = new TaskModel();
	/** Current and former claims. */
	#refs: Claim[] = [];
	#limits: readonly KindLimit[] = [];
	/** The store's clock at the beginning, once it is known. */
	#start: number | undefined;
	/** Makes each id and each text unique. */
	#count = 0;

	constructor(bench: Bench, seed: number) {
		this.#bench = bench;
		this.#random = new Random(seed);
	}

	async step(): Promise<void> {
		const actions = [
			...[this.#add, this.#add, this.#add, this.#turn, this.#turn, this.#turn, this.#turn],
			...[this.#extend, this.#save, this.#post, this.#change, this.#change, this.#delete, this.#hasten, this.#pass],
			...[this.#pause, this.#list, this.#release],
		];
		await this.#random.of(actions).call(this);
		await this.#compare();
	}

	async #add(): Promise<void> {
		const isRun = this.#random.below(3) === 0 && this.#model.tasks.length < 30;
		const tasks = Array.from({ length: 1 + this.#random.below(4) }, () => this.#newTask(isRun));
		for (const [index, task] of tasks.entries()) tasks[index] = this.#perhapsReplacing(task, tasks.slice(0, index));
		this.log.push(`add ${show(tasks)}`);
		const added = await this.#bench.store.add(basket, tasks);
		for (const [index, task] of tasks.entries()) {
			const id = task.id ?? added[index]!.id;
			const before = this.#model.find(id);
			const isAdded = before === undefined || task.ifPresent !== undefined;
			equal(added[index], { id, added: isAdded, state: before && stateOf(before) }, `add() of "${id}"`);
			if (isAdded && task.item !== undefined) this.#model.collect({ ...task, id });
			else if (isAdded) this.#model.replace({ ...task, id });
		}
	}

	/** @param isAlike whether it can run with others of its lane */
	#newTask(isAlike: boolean): NewTask {
		const random = this.#random;
		return newTask({
			id: isAlike ? undefined : random.of([
				this.#model.tasks.length < 15 ? undefined : "task 0",
				`task ${random.below(30)}`,
				`task ${random.below(30)}`,
			]),
			kind: isAlike ? "a" : random.of(kinds),
			payload: random.of([this.#text(), Uint8Array.of(++this.#count % 256)]),
			delay: isAlike ? 0 : this.#duration(),
			priority: random.of([0, 0, 0, 1, -1, 100]),
			lane: isAlike ? "n" : random.of([undefined, undefined, "l", "m", random.below(3) === 0 ? "n" : "l"]),
			limitKey: isAlike ? undefined : random.of([undefined, undefined, ...limitKeys]),
			meta: random.of([undefined, this.#text()]),
		});
	}

	/** Lets a task replace the one with its id, or add to its items. It has the same kind and lane then. */
	#perhapsReplacing(task: NewTask, earlier: readonly NewTask[]): NewTask {
		const { id, delay } = task;
		const random = this.#random;
		if (id === undefined || random.below(2) === 0) return task;
		const before = this.#model.find(id) ?? earlier.find((other) => other.id === id);
		const { kind, lane } = before ?? task;
		const within = random.of([undefined, delay, delay + this.#duration()]);
		const isCollected = before === undefined ? random.below(2) === 0 : before.payload === envelope;
		// Only a task that is not running gets another key. That of items never changes.
		const isRunning = before !== undefined && "state" in before && before.state === "running";
		const { limitKey } = before !== undefined && (isRunning || isCollected) ? before : task;
		const given = { ...task, kind, lane, within, limitKey };
		if (!isCollected) return { ...given, ifPresent: "replace" };
		return { ...given, payload: envelope, ifPresent: "collect", item: task.payload, most: random.of([1, 2, 3, 100]) };
	}

	async #turn(): Promise<void> {
		const random = this.#random;
		const among = random.below(3) > 0 ? this.#refs : this.#refs.filter(({ lane }) => lane === "n").slice(-4);
		const settle = random.some(among).slice(0, 4).map((ref) => ({
			ref,
			outcome: { ...this.#outcome(ref), history: random.of([undefined, this.#text()]) },
			log: this.#part(ref),
		}));
		const claim = Array.from({ length: random.below(3) }, () => ({
			kinds: random.some(kinds).concat(random.of(kinds)),
			// In real time, it is unknown which of two tasks was due first.
			limit: this.#bench.isExact ? 1 + random.below(4) : 1000,
		}));
		const lease = Math.max(1, this.#duration(1));
		if (random.below(5) === 0) this.#limits = this.#newLimits();
		const limits = random.below(6) === 0 ? [] : this.#limits;
		const runs = random.below(4) === 0 ? [] : kinds.map((kind) => ({ kind, most: 1 + random.below(4) }));
		const worker = `worker ${random.below(3)}`;
		this.log.push(`turn ${show({ settle, claim, lease, limits, runs, worker })}`);
		const turn = await this.#bench.turn({ settle, claim, lease, limits, runs, worker });
		equal(turn.settled, settle.map(({ ref, outcome, log }) => this.#model.settle(ref, outcome, log)), "settled");
		this.#model.giveBack();
		this.#model.claim(idsOf(turn.claims), claim, limits, { lease, worker }, this.#bench.isExact, runs);
		for (const given of turn.claims) {
			const task = this.#model.find(given.id)!;
			const { id, token } = given;
			equal(claimed(given), claimed(task), `claim of "${id}"`);
			equal(given.lapsed?.worker, task.lapsed, `the claim before of "${id}"`);
			equal(this.#refs.some((ref) => ref.id === id && ref.token === token), false, "a token is used again");
			task.token = token;
			this.#refs.push(given);
		}
		const isFull = claim.some(({ limit }) => limit <= turn.claims.length);
		if (claim.length > 0) this.#checkDueIn(turn.dueIn, claim.flatMap(({ kinds }) => kinds), limits, isFull);
		this.#refs = this.#refs.slice(-20);
	}

	/** In real time, it is unknown when exactly a task starts. */
	#newLimits(): KindLimit[] {
		const { isExact, unit } = this.#bench;
		if (!isExact) return [];
		const random = this.#random;
		return random.some(kinds).map((kind) => ({
			kind,
			atOnce: random.of([1, 2, Infinity]),
			spacing: random.of([0, unit / 3, unit, 3 * unit]),
			burst: random.of([1, 1, 2, 4]),
		}));
	}

	#outcome({ payload: before }: Claim): Outcome {
		const random = this.#random;
		// The payload of collected items never changes.
		const payload = before === envelope ? undefined : random.of([undefined, this.#text()]);
		const failed = { attempts: random.below(5), error: this.#text(), payload };
		const seen = random.below(4);
		return random.of<Outcome>([
			{ type: "done" },
			{ type: "done", seen, most: random.of([undefined, 1, 2]) },
			{ type: "done", seen: seen + 2, retain: this.#duration(1), result: this.#text() },
			{ type: "done", retain: this.#duration(1), payload, result: random.of([undefined, this.#text()]) },
			{ type: "retry", delay: this.#duration(), ...failed },
			{ type: "retry", delay: this.#duration(1), ...failed, backoff: true },
			{ type: "retry", delay: this.#duration(1), ...failed, hold: true },
			{ type: "later", delay: random.of([null, this.#duration()]), seen, payload },
			{ type: "later", delay: this.#duration(1), seen, payload, backoff: true },
			{ type: "done", retain: Infinity },
			{ type: "dead", ...failed },
			{ type: "dead", ...failed, retain: this.#duration(1) },
			{ type: "release", payload },
			{ type: "release", payload, delay: this.#duration() },
			{ type: "release", limitKey: random.of(limitKeys) },
			{ type: "release", limitKey: random.of(limitKeys), delay: this.#duration() },
			{ type: "retry", delay: this.#duration(1), ...failed, isKeyShut: true },
			{ type: "later", delay: this.#duration(1), seen, isKeyShut: true },
			{ type: "release", delay: this.#duration(1), isKeyShut: true },
		]);
	}

	/** A part that continues the log of a task, or that repeats its last entries with other data. */
	#part({ id }: Ref): LogPart | undefined {
		const random = this.#random;
		const { log = [] } = this.#model.find(id) ?? {};
		if (random.below(2) === 0) return undefined;
		return {
			after: Math.max(0, log.length - random.of([0, 0, 1, 2])),
			entries: random.of([[this.#text()], [this.#text(), Uint8Array.of(7)]]),
		};
	}

	/** @param isFull whether a request was served in full: then a store need not look at the other gates */
	#checkDueIn(dueIn: number, kinds: readonly string[], limits: readonly KindLimit[], isFull: boolean): void {
		if (isFull && dueIn === 0 && this.#model.hasGates(kinds)) return;
		const [least, most] = this.#model.dueIn(kinds, limits);
		if (most === 0 || least === Infinity) return equal(dueIn, most, "dueIn");
		between(dueIn, this.#bench.isExact ? Math.max(0, least - 1) : 1, most + 1, "dueIn");
		if (least > 0 && dueIn === 0) fail("dueIn is 0, and nothing can be claimed");
	}

	async #extend(): Promise<void> {
		const refs = this.#random.some(this.#refs);
		const lease = Math.max(1, this.#duration(1));
		this.log.push(`extend ${show(refs)} ${lease}`);
		const wanted = refs.map((ref) => this.#model.extend(ref, lease));
		equal(await this.#bench.store.extend(basket, refs, lease), wanted, "extend()");
	}

	async #save(): Promise<void> {
		const random = this.#random;
		const saves = random.some(this.#refs).map((ref) => ({
			ref,
			payload: ref.payload === envelope ? undefined : random.of([undefined, this.#text()]),
			progress: random.of([undefined, this.#text()]),
			seen: random.of([undefined, random.below(4)]),
			log: this.#part(ref),
		}));
		this.log.push(`save ${show(saves)}`);
		const wanted = saves.map((save) => this.#model.save(save));
		equal(await this.#bench.store.save(basket, saves), wanted, "save()");
	}

	async #post(): Promise<void> {
		const [id, data] = [this.#anyId(), this.#text()];
		this.log.push(`post ${id} ${data}`);
		equal(await this.#bench.store.post(basket, id, data), this.#model.post(id, data), "post()");
	}

	async #change(): Promise<void> {
		const id = this.#anyId();
		const { key = "" } = await this.#bench.store.get(basket, id) ?? {};
		const restart = { type: "restart", key, payload: this.#text(), keepsLog: this.#random.below(2) === 0 } as const;
		const others = this.#model.find(id)?.isCollected ? [] : [restart];
		const change = this.#random.of<Change>(["retry", "hold", "release", ...others]);
		await this.#changeAll(change === restart ? [id] : [...new Set([id, this.#anyId()])], change);
	}

	/** Otherwise a lane would mostly wait for a head that is held. */
	async #release(): Promise<void> {
		await this.#changeAll(idsOf(this.#model.tasks.filter(({ lane, isHeld }) => lane === "n" && isHeld)), "release");
	}

	async #changeAll(ids: readonly string[], change: Change): Promise<void> {
		if (ids.length === 0) return;
		this.log.push(`change ${show(ids)} ${show(change)}`);
		const changed = await this.#bench.store.change(basket, ids, change);
		for (const [index, id] of ids.entries()) {
			const task = this.#model.find(id);
			// A second hold may count as a change.
			if (change === "hold" && task?.isHeld) continue;
			const isRetriedDead = change === "retry" && task?.state === "dead";
			equal(changed[index], this.#model.change(id, change), `${change} of "${id}"`);
			if (isRetriedDead) await this.#takeOver(id);
		}
	}

	/** The store decides what a retried dead task keeps of its history. */
	async #takeOver(id: string): Promise<void> {
		const { error, progress, inbox } = await this.#bench.get(id);
		Object.assign(this.#model.find(id)!, { error, progress, inbox: [...inbox] });
	}

	async #delete(): Promise<void> {
		const ids = [...new Set([this.#anyId(), this.#anyId()])].slice(this.#random.below(2));
		this.log.push(`delete ${show(ids)}`);
		equal(await this.#bench.store.delete(basket, ids), ids.map((id) => this.#model.delete(id)), "delete()");
	}

	/** Pauses last for a few steps only: most of the time all kinds are claimed. */
	async #pause(): Promise<void> {
		const { paused } = this.#model;
		const kind = this.#random.of([...paused, ...kinds.slice(0, 1), undefined]);
		const isPaused = paused.size === 0;
		this.log.push(`pause ${kind} ${isPaused}`);
		equal(await this.#bench.store.pause(basket, kind, isPaused), paused.has(kind) !== isPaused, "pause()");
		if (isPaused) paused.add(kind);
		else paused.delete(kind);
		const wanted = { all: paused.has(undefined), kinds: [...paused].filter((kind) => kind !== undefined) };
		equal(await this.#bench.store.pauses(basket), wanted, "pauses()");
	}

	async #list(): Promise<void> {
		const random = this.#random;
		const query = {
			state: random.of([undefined, undefined, ...taskStates]),
			kind: random.of([undefined, undefined, ...kinds]),
			lane: random.of([undefined, undefined, "l", "m"]),
			prefix: random.of([undefined, undefined, "task ", "task 1"]),
			isReverse: random.of([undefined, true]),
		};
		const limit = 1 + random.below(10);
		this.log.push(`list ${show(query)}`);
		const all = this.#model.tasks.filter((task) =>
			(query.kind === undefined || isOfKind(task.kind, query.kind)) && [task.lane, undefined].includes(query.lane) &&
			[stateOf(task), undefined].includes(query.state) && task.id.startsWith(query.prefix ?? "")
		);
		const wanted = idsOf(query.isReverse ? all.reverse() : all);
		for (let after: string | undefined, from = 0; from === 0 || from < wanted.length; from += limit) {
			const page = await this.#bench.store.list(basket, { ...query, after, limit });
			equal(idsOf(page), wanted.slice(from, from + limit), "a page of list()");
			after = page.at(-1)?.key;
		}
	}

	async #hasten(): Promise<void> {
		const within = this.#bench.isExact ? this.#duration() : 0;
		this.log.push(`hasten ${within}`);
		equal(await this.#bench.store.hasten(basket, within), this.#model.hasten(within), "hasten()");
	}

	async #pass(): Promise<void> {
		if (!this.#bench.isExact) return;
		const units = this.#random.of([1, 1, 2, 5]);
		this.log.push(`pass ${units} units`);
		await this.#bench.pass(units);
		this.#model.pass(units * this.#bench.unit);
	}

	/** Compares the visible state of the store and the model. */
	async #compare(): Promise<void> {
		const listed = await this.#bench.list();
		equal(idsOf(listed), idsOf(this.#model.tasks), "tasks");
		const counts: Record<string, number> = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		for (const [index, { key: _, addedAt, dueAt, claim, ...given }] of listed.entries()) {
			const task = this.#model.tasks[index]!;
			const { id, kind, priority, lane, limitKey, payload, attempts, crashes, error, result, progress } = task;
			const state = stateOf(task);
			// For finished tasks, the store decides about fields that are not specified.
			if (state === "done") Object.assign(given, { attempts, error });
			if (state === "done" || state === "dead") Object.assign(given, { crashes });
			const { meta, history, worker } = task;
			const shown = { id, kind, priority, lane, limitKey, payload, state, meta, history };
			const wanted = { ...shown, attempts, crashes, error, result, progress };
			equal(given, wanted, `"${id}"`);
			equal(claim?.worker, worker, `the claim of "${id}"`);
			counts[state]!++;
			if (this.#bench.isExact) this.#compareTimes(task, state, addedAt, dueAt);
		}
		equal(await this.#bench.store.counts(basket), counts, "counts()");
		const some = this.#random.some(this.#model.tasks)[0];
		if (some === undefined) return;
		equal((await this.#bench.get(some.id)).inbox, some.inbox, `inbox of "${some.id}"`);
		equal(await this.#bench.log(some.id), some.log, `log of "${some.id}"`);
	}

	#compareTimes(task: ModelTask, state: TaskState, addedAt: number, given: number | undefined): void {
		this.#start ??= addedAt - task.addedAt;
		equal(addedAt - this.#start, task.addedAt, `addedAt of "${task.id}"`);
		const dueAt = given === undefined ? Infinity : given - this.#start;
		// The due time of a held task matters only after its release.
		if (state === "held") return;
		between(dueAt, task.dueFrom ?? task.dueAt, task.dueTo ?? task.dueAt, `dueAt of "${task.id}"`);
		task.dueAt = dueAt;
		task.dueFrom = task.dueTo = undefined;
	}

	#anyId(): string {
		return this.#random.of([...idsOf(this.#model.tasks), "nobody"]);
	}

	#text(): string {
		return `text ${++this.#count}`;
	}

	/** A duration that has clearly passed or not. */
	#duration(least = 0): number {
		const { isExact, unit, long } = this.#bench;
		if (!isExact) return least === 0 ? this.#random.of([0, 0, long]) : long;
		return unit * Math.max(least, this.#random.of([0, 0, 1, 2, 3, 10]));
	}
}
