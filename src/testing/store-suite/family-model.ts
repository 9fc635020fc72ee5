/**
 * A test that applies random actions to families of tasks in a store, and to a model of them, and compares both after
 * each action.
 *
 * @module
 */

import type { Child, Claim, Join, Outcome, Ref, Settlement } from "../../basket/store.ts";
import { equal, show } from "./assert.ts";
import { type Bench, idsOf, numbered, type StoreTest } from "./bench.ts";
import { newChild, newJoin } from "./children.ts";
import { Random } from "./random.ts";
import { randomTest } from "./random-test.ts";

/** The number of actions. */
const steps = 120;
const names = ["j", "k"];
const roots = /* @__PURE__ */ numbered(3, "root ");
const ids = /* @__PURE__ */ numbered(9, "child ");

interface Counter {
	left: number;
	spare: number;
	isTold: boolean;
}

/** A task as a store is expected to have it. */
interface Member {
	readonly id: string;
	/** This very parent, and not another one with its id. */
	readonly parent: Member | undefined;
	/** The join that counts it. */
	readonly join: string | undefined;
	state: "waiting" | "running" | "dead" | "done";
	/** Whether only a message makes it due. */
	isAsleep: boolean;
	inbox: string[];
	posted: number;
	joins: Map<string, Counter>;
	/** When its retention ends. */
	goneAt: number;
	claim: Claim | undefined;
}

/** The test of one random sequence. */
export function familyModelTest(seed: number): StoreTest {
	return randomTest(
		"save(), turn() and all others agree with a simple model of children and joins",
		seed,
		steps,
		(bench) => new StoreAndFamilies(bench, seed),
	);
}

class StoreAndFamilies {
	readonly log: string[] = [];
	readonly #bench: Bench;
	readonly #random: Random;
	/** In the order of their keys. */
	#members: Member[] = [];
	#now = 0;

	constructor(bench: Bench, seed: number) {
		this.#bench = bench;
		this.#random = new Random(seed);
	}

	async step(): Promise<void> {
		const actions: (() => Promise<void>)[] = [
			this.#add,
			this.#claim,
			this.#claim,
			this.#grow,
			this.#grow,
			this.#settle,
			this.#settle,
		];
		await this.#random.of([...actions, this.#delete, this.#change, this.#pass]).call(this);
		// What a removed task leaves is removed in parts.
		for (let turn = 0; turn < 3; turn++) await this.#bench.turn({});
		await this.#compare();
	}

	#find(id: string): Member | undefined {
		return this.#members.find((member) => member.id === id);
	}

	#insert(id: string, parent?: Member, join?: string): void {
		const empty = { inbox: [], posted: 0, joins: new Map(), goneAt: Infinity, claim: undefined };
		this.#members.push({ id, parent, join, state: "waiting", isAsleep: false, ...empty });
	}

	async #add(): Promise<void> {
		const id = this.#random.of(roots);
		this.log.push(`add ${id}`);
		await this.#bench.add(id);
		if (this.#find(id) === undefined) this.#insert(id);
	}

	async #claim(): Promise<void> {
		const limit = this.#random.of([1, 100]);
		this.log.push(`claim ${limit}`);
		const claims = await this.#bench.claim(limit);
		const due = this.#members.filter(({ state, isAsleep }) => state === "waiting" && !isAsleep);
		equal(claims.length, Math.min(limit, due.length), "the number of claims");
		for (const claim of claims) {
			const member = this.#find(claim.id);
			equal(member !== undefined && due.includes(member), true, `whether "${claim.id}" is due`);
			Object.assign(member!, { state: "running", claim });
		}
	}

	/** The claims that are current, and some that are not. */
	#claims(): Claim[] {
		return this.#random.some(this.#members.flatMap(({ claim }) => claim ?? []));
	}

	#isCurrent({ id, token }: Ref): boolean {
		const member = this.#find(id);
		return member?.state === "running" && member.claim?.token === token;
	}

	#offspring(): { join?: Join; children: Child[] } {
		const random = this.#random;
		const [name, left] = [random.of(names), 1 + random.below(3)];
		const isAnew = random.below(3) === 0;
		const join = newJoin(left, { name, isAnew, ...random.of([{}, { spare: 0 }, { spare: 1 }]) });
		const some = Array.from({ length: random.below(4) }, () => random.of(ids));
		const children = some.map((id) => newChild(id, { join: random.of([...names, undefined]) }));
		return random.below(2) === 0 ? { children } : { join, children };
	}

	async #grow(): Promise<void> {
		const [claim] = this.#claims();
		if (claim === undefined) return;
		const grown = this.#offspring();
		const isEnd = this.#random.below(3) === 0;
		this.log.push(`grow ${claim.id} ${show(grown)} ${isEnd}`);
		const outcome = { type: "release" } as const;
		const { store, basket } = this.#bench;
		const [isDone] = isEnd
			? (await this.#bench.turn({ settle: [{ ref: claim, outcome, ...grown }] })).settled
			: await store.save(basket, [{ ref: claim, ...grown }]);
		equal(isDone, this.#isCurrent(claim), "whether it was done");
		if (!isDone) return;
		const parent = this.#find(claim.id)!;
		const { join, children } = grown;
		if (join !== undefined && (join.isAnew || !parent.joins.has(join.name))) {
			parent.joins.set(join.name, { left: join.left, spare: join.spare ?? Infinity, isTold: false });
		}
		for (const { id, join } of children) if (this.#find(id) === undefined) this.#insert(id, parent, join);
		if (isEnd) parent.state = "waiting";
	}

	async #settle(): Promise<void> {
		const settle: Settlement[] = this.#claims().map((ref) => ({ ref, outcome: this.#outcome(ref) }));
		this.log.push(`settle ${show(settle)}`);
		const { settled } = await this.#bench.turn({ settle });
		equal(settled, settle.map(({ ref }) => this.#isCurrent(ref)), "settled");
		const ended = settle.filter((_, index) => settled[index]);
		const members = ended.map(({ ref }) => this.#find(ref.id)!);
		// What is posted in a turn may be counted at the end of it.
		for (const [index, { outcome }] of ended.entries()) this.#apply(members[index]!, outcome);
		for (const [index, { outcome }] of ended.entries()) this.#end(members[index]!, outcome);
		this.#expire();
	}

	#outcome({ id }: Claim): Outcome {
		const { posted = 0 } = this.#find(id) ?? {};
		return this.#random.of<Outcome>([
			{ type: "done" },
			{ type: "done", isBad: true },
			{ type: "done", retain: this.#bench.unit, isBad: this.#random.below(2) === 0 },
			{ type: "done", retain: Infinity },
			{ type: "dead", attempts: 1, error: "x" },
			{ type: "later", delay: null, seen: posted },
			{ type: "later", delay: null, seen: 0 },
			{ type: "release" },
		]);
	}

	#apply(member: Member, outcome: Outcome): void {
		const { type } = outcome;
		member.state = type === "done" || type === "dead" ? type : "waiting";
		if (type === "later") member.inbox = outcome.seen > 0 ? [] : member.inbox;
		member.isAsleep = type === "later" && member.inbox.length === 0;
		if (type === "done") member.goneAt = this.#now + (outcome.retain ?? 0);
	}

	#end(member: Member, { type, ...rest }: Outcome): void {
		if (type !== "done" && type !== "dead") return;
		this.#count(member, type === "dead" || ("isBad" in rest && rest.isBad === true));
		member.joins.clear();
	}

	#count(member: Member, isBad: boolean): void {
		const { parent, join = "" } = member;
		const counter = parent?.joins.get(join);
		if (parent === undefined || counter === undefined || counter.isTold) return;
		counter.left--;
		if (isBad) counter.spare--;
		counter.isTold = counter.left === 0 || counter.spare < 0;
		if (!counter.isTold || (parent.state !== "waiting" && parent.state !== "running")) return;
		parent.inbox.push(`joined ${join}`);
		parent.posted++;
		parent.isAsleep = false;
	}

	/** Removes what is over, and the children of what is gone. */
	#expire(): void {
		this.#members = this.#members.filter(({ state, goneAt }) => state !== "done" || goneAt > this.#now);
		for (let count = -1; count !== this.#members.length;) {
			count = this.#members.length;
			this.#members = this.#members.filter(({ parent }) => parent === undefined || this.#members.includes(parent));
		}
	}

	#anyId(): string {
		return this.#random.of([...idsOf(this.#members), "nobody"]);
	}

	async #delete(): Promise<void> {
		const id = this.#anyId();
		this.log.push(`delete ${id}`);
		const member = this.#find(id);
		equal(await this.#bench.store.delete(this.#bench.basket, [id]), [member !== undefined], "deleted");
		if (member === undefined) return;
		if (member.state !== "done" && member.state !== "dead") this.#count(member, true);
		this.#members = this.#members.filter((other) => other !== member);
		this.#expire();
	}

	async #change(): Promise<void> {
		const id = this.#anyId();
		const member = this.#find(id);
		const isOver = member?.state === "dead" || member?.state === "done";
		const type = this.#random.of(["retry", "keep", "drop"]);
		this.log.push(`${type} ${id}`);
		const { store, basket } = this.#bench;
		const { key = "" } = await store.get(basket, id) ?? {};
		const restart = { type: "restart", key, payload: "new", keepsLog: type === "keep" } as const;
		const [isChanged] = await store.change(basket, [id], type === "retry" ? "retry" : restart);
		const isAnew = type === "retry" ? member?.state === "dead" : isOver;
		equal(isChanged, isAnew || (type === "retry" && member?.state === "waiting"), "changed");
		if (!isChanged) return;
		member!.isAsleep = false;
		if (!isAnew) return;
		const again: Member = Object.assign(member!, { state: "waiting" as const, goneAt: Infinity, claim: undefined });
		this.#members = [...this.#members.filter((other) => other !== member), again];
		if (type === "drop") this.#members = this.#members.filter(({ parent }) => parent !== member);
		this.#expire();
		// The store decides what a task keeps of its inbox.
		const { inbox } = await this.#bench.get(id);
		again.inbox = inbox.map(({ data }) => String(data));
		again.posted = inbox.at(-1)?.n ?? 0;
	}

	async #pass(): Promise<void> {
		if (!this.#bench.isExact) return;
		this.log.push("pass");
		await this.#bench.pass(2);
		this.#now += 2 * this.#bench.unit;
		const gone = this.#members.filter(({ state, goneAt }) => state === "done" && goneAt <= this.#now);
		// A store may remove them much later, and then their children. A new task with the id lets it do so at once.
		for (const { id } of gone) {
			await this.#bench.add(id);
			await this.#bench.store.delete(this.#bench.basket, [id]);
		}
		this.#expire();
	}

	async #compare(): Promise<void> {
		const { store, basket } = this.#bench;
		for (const parent of [undefined, ...this.#members]) {
			const found = parent === undefined
				? await this.#bench.list()
				: await store.list(basket, { parent: parent.id, limit: 100 });
			const wanted = this.#members.filter((member) => member.parent === parent).map(({ id, state }) => [id, state]);
			equal(found.map(({ id, state }) => [id, state]), wanted, `children of ${parent?.id}`);
			if (parent === undefined || parent.state === "dead" || parent.state === "done") continue;
			const { inbox } = await this.#bench.get(parent.id);
			equal(inbox.map(({ data }) => data).sort(), [...parent.inbox].sort(), `inbox of ${parent.id}`);
		}
		const counts = Object.values(await store.counts(basket));
		equal(counts.reduce((sum, count) => sum + count), this.#members.length, "the number of tasks");
	}
}
