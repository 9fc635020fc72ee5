// Durable functions of random shape, whose processes die at random calls of the store and at random awaits. What they do is
// a function of a seed, so that it can be compared with a run in which nothing goes wrong.
import {
	type Durable,
	durable,
	type Flow,
	type FlowStepOptions,
	later,
	retryAfter,
	sleep,
	stopNow,
} from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { Connection, Database } from "./database.ts";
import type { Process } from "./support.ts";
import { tryWorlds, World } from "./world.ts";

/** A part of a body. */
type Part =
	| { readonly type: "step"; readonly name: string | readonly [string, number]; readonly how: How }
	| { readonly type: "sleep"; readonly name: string; readonly duration: number }
	| { readonly type: "wait"; readonly name: string; readonly isSent: boolean }
	| { readonly type: "all" | "any" | "race" | "allSettled" | "sequence"; readonly parts: readonly Part[] }
	| { readonly type: "try"; readonly part: Part; readonly rescue: Part | undefined; readonly last: Part | undefined }
	| { readonly type: "throw" };

/** How a step behaves. */
interface How {
	readonly attempts: number;
	/** The number of attempts that fail. */
	readonly failures: number;
	readonly hint: "none" | "retryAfter" | "stopNow" | "later";
	readonly duration: number;
	readonly revertFailures: number | undefined;
	/** Whether it writes a line in a transaction. */
	readonly commits: boolean;
}

/** What a step, a revert or a body has done. */
interface Event {
	readonly what: "register" | "start" | "done" | "seen" | "revert" | "reverted" | "stored" | "race" | "finally";
	readonly name: string;
	/** The winner of a race. */
	readonly value?: string | undefined;
}

/** The shape of a body. */
class Shape {
	/** Whether what it does depends on which of its steps is faster. */
	hasRaces = false;
	readonly signals: string[] = [];
	/** The steps that write a line. */
	readonly committing: Set<string> = new Set();
	readonly body: Part;
	readonly #random: Random;
	#names = 0;

	constructor(seed: number) {
		this.#random = new Random(seed);
		this.body = { type: "sequence", parts: this.#parts(2, 5, 3) };
	}

	#parts(least: number, most: number, depth: number): Part[] {
		return Array.from({ length: least + this.#random.below(most - least + 1) }, () => this.#part(depth));
	}

	#part(depth: number): Part {
		const random = this.#random;
		const inner = depth > 0 ? 1 : 0;
		const type = random.weighted({
			step: 6,
			sleep: 1.5,
			wait: 0.7,
			sequence: inner,
			all: inner,
			allSettled: inner * 0.7,
			race: inner * 0.5,
			any: inner * 0.4,
			try: inner * 1.5,
			throw: 0.15,
		});
		if (type === "throw") return { type };
		if (type === "try") {
			const more = () => random.chance(0.6) ? this.#part(depth - 1) : undefined;
			return { type, part: this.#part(depth - 1), rescue: more(), last: more() };
		}
		if (type === "step") {
			const name = this.#name(type);
			const how = this.#how();
			if (how.commits) this.committing.add(textOf(name));
			return { type, name, how };
		}
		if (type === "sleep") return { type, name: `sleep${++this.#names}`, duration: random.pick([0, 5, 1_000, 60_000]) };
		if (type === "wait") {
			const name = `wait${++this.#names}`;
			const isSent = random.chance(0.7);
			if (isSent) this.signals.push(name);
			return { type, name, isSent };
		}
		// With these, what else is done when one rejects depends on time, too.
		if (type !== "allSettled" && type !== "sequence") this.hasRaces = true;
		return { type, parts: this.#parts(1, 3, depth - 1) };
	}

	#name(type: string): string | readonly [string, number] {
		const number = ++this.#names;
		return this.#random.chance(0.2) ? [type, number] : `${type}${number}`;
	}

	#how(): How {
		const random = this.#random;
		const attempts = random.pick([1, 1, 2, 3]);
		const isDoomed = random.chance(0.06);
		return {
			attempts,
			failures: isDoomed ? attempts : random.below(attempts),
			hint: random.pick(["none", "none", "none", "retryAfter", "stopNow", "later"]),
			duration: random.pick([-1, 0, 0, 10, 2_000]),
			revertFailures: random.chance(0.6) ? random.pick([0, 0, 1]) : undefined,
			commits: random.chance(0.2),
		};
	}
}

const textOf = (name: string | readonly [string, number]) => typeof name === "string" ? name : JSON.stringify(name);

/** Notes which names are stored. */
function spy(database: Database, events: Event[]): Database {
	const connect = (...args: Parameters<Database["connect"]>): Connection => {
		const connection = database.connect(...args);
		const { store } = connection;
		const note = async () => {
			const [entries = []] = await store.log(args[1], [{ id: "job", after: 0, limit: 1_000 }]);
			for (const { data } of entries) {
				const { name, isRevert } = JSON.parse(data as string);
				const known = events.some((event) => event.what === "stored" && event.name === name);
				if (name !== undefined && !isRevert && !known) events.push({ what: "stored", name });
			}
		};
		const noted = <A extends unknown[]>(call: (...args: A) => Promise<unknown>) => async (...args: A) => {
			const result = await call(...args);
			await note();
			return result;
		};
		const { save, turn } = store as Record<"save" | "turn", (...args: unknown[]) => Promise<unknown>>;
		const through = { ...store, save: noted(save.bind(store)), turn: noted(turn.bind(store)) };
		return { ...connection, store: through as never, write: noted(connection.write) };
	};
	return { ...database, connect };
}

/** Runs one durable function on processes that die. */
class FlowWorld extends World {
	readonly events: Event[];
	readonly shape: Shape;
	protected override readonly input = { tags: ["a"] };

	constructor(database: Database, seed: number, danger: number) {
		const events: Event[] = [];
		super(spy(database, events), seed, danger);
		this.machine.patience = 12;
		this.events = events;
		this.shape = new Shape(seed);
	}

	protected override get signals(): readonly string[] {
		return this.shape.signals;
	}

	protected override define(process: Process): Durable {
		const body = async (flow: Flow<unknown>, input: { tags: string[] }) => {
			// Later passes must not see this.
			input.tags.push("b");
			return [input.tags, await this.#do(this.shape.body, flow, process)];
		};
		return durable("random", body) as unknown as Durable;
	}

	#note(process: Process, what: Event["what"], name: string, value?: string): void {
		if (!process.isDead) this.events.push({ what, name, value });
	}

	async #do(part: Part, flow: Flow<unknown>, process: Process): Promise<unknown> {
		await this.survive(process);
		const each = (parts: readonly Part[]) => parts.map((part) => this.#do(part, flow, process));
		switch (part.type) {
			case "step":
				return await this.#step(part.name, part.how, flow, process);
			case "sleep":
				this.#note(process, "register", part.name);
				await flow.sleep(part.name, part.duration);
				return "slept";
			case "wait":
				this.#note(process, "register", part.name);
				return await flow.waitFor(part.name, part.isSent ? {} : { timeout: 20_000 });
			case "throw":
				throw new Error("thrown");
			case "all":
				return await Promise.all(each(part.parts));
			case "allSettled":
				return (await Promise.allSettled(each(part.parts))).map((result) =>
					result.status === "fulfilled" ? result.value : `failed: ${result.reason.message}`
				);
			case "any":
			case "race": {
				const name = JSON.stringify(part.parts).slice(0, 200);
				const ways = each(part.parts).map((promise, index) => promise.then(() => index));
				const winner = await (part.type === "any" ? Promise.any(ways) : Promise.race(ways));
				this.#note(process, "race", name, String(winner));
				return winner;
			}
			case "sequence": {
				const values: unknown[] = [];
				for (const one of part.parts) {
					const value = await this.#do(one, flow, process);
					// Later passes must not see this.
					if (Array.isArray(value)) value.push("seen");
					values.push(value);
				}
				return values;
			}
			case "try":
				try {
					return await this.#do(part.part, flow, process);
				} catch (error) {
					if (part.rescue === undefined) throw error;
					return [(error as Error).message, await this.#do(part.rescue, flow, process)];
				} finally {
					this.#note(process, "finally", "");
					if (part.last !== undefined) await this.#do(part.last, flow, process);
				}
		}
	}

	async #step(
		name: string | readonly [string, number],
		how: How,
		flow: Flow<unknown>,
		process: Process,
	): Promise<unknown> {
		const text = textOf(name);
		this.#note(process, "register", text);
		const result = flow.step(name, async ({ attempt, signal, commit }) => {
			await this.survive(process);
			this.#note(process, "start", text);
			if (how.duration >= 0) await sleep(how.duration, { clock: this.machine.clock, signal });
			await this.survive(process);
			if (how.hint === "later" && this.putsOff(text)) throw later(3_000);
			const error = new Error(`${text} ${how.hint === "stopNow" ? "" : attempt}`);
			if (attempt <= how.failures) {
				if (how.hint === "retryAfter") throw retryAfter(500, error);
				throw how.hint === "stopNow" ? stopNow(error) : error;
			}
			this.#note(process, "done", text);
			if (how.commits) await this.write(process, text, (tx) => commit(tx, [text]));
			return [text];
		}, { attempts: how.attempts, ...this.#revert(text, how, process) });
		return await result.finally(() => this.#note(process, "seen", text));
	}

	#revert(
		name: string,
		{ revertFailures, commits }: How,
		process: Process,
	): Pick<FlowStepOptions<string[], unknown>, "revert"> {
		if (revertFailures === undefined) return {};
		return {
			revert: async (result, { attempt, commit }) => {
				await this.survive(process);
				if (JSON.stringify(result) !== JSON.stringify([name])) {
					this.events.push({ what: "revert", name: "a wrong result" });
				}
				this.#note(process, "revert", name);
				await this.survive(process);
				if (attempt <= revertFailures) throw new Error("not yet");
				if (commits) await this.write(process, `-${name}`, (tx) => commit(tx));
				this.#note(process, "reverted", name);
			},
		};
	}

	override async problem(): Promise<string | undefined> {
		const { events, machine } = this;
		const processor = machine.process().processor([this.define(machine.process())]);
		const outcome = await processor.result("job");
		if (outcome === undefined) return `it has not ended: ${JSON.stringify(await processor.get("job"))}`;
		const of = (what: Event["what"]) => events.filter((event) => event.what === what).map(({ name }) => name);
		const stored = new Set<string>();
		for (const { what, name } of events) {
			if (what === "stored") stored.add(name);
			if (what === "start" && stored.has(name)) return `${name} runs again after its result was stored`;
			if (what === "seen" && !stored.has(name)) {
				return `the promise of ${name} has settled before its result was stored`;
			}
			if (name === "a wrong result") return name;
		}
		const winners = new Map<string, string>();
		for (const { what, name, value } of events) {
			if (what !== "race") continue;
			if ((winners.get(name) ?? value) !== value) return `another winner of ${name}`;
			winners.set(name, value!);
		}
		const log = (await machine.log("job")).map(({ data }) => JSON.parse(data as string));
		const names = log.filter(({ name, isRevert }) => name !== undefined && !isRevert).map(({ name }) => name);
		if (new Set(names).size < names.length) return "a name is stored twice";
		const order = [...new Set(of("register"))];
		const revertible = log.filter(({ hasRevert }) => hasRevert).map(({ name }) => name as string);
		const expected = revertible.sort((one, other) => order.indexOf(other) - order.indexOf(one));
		const reverted = log.filter(({ isRevert }) => isRevert).map(({ name }) => name as string);
		const wanted = outcome.status === "completed" ? [] : expected;
		if (outcome.unreverted.length === 0 && JSON.stringify(reverted) !== JSON.stringify(wanted)) {
			return `the ${outcome.status} job has reverted ${reverted} instead of ${wanted}`;
		}
		const isGivenUp = outcome.revertError?.message.startsWith("The process that ran the step ended without a word");
		if (outcome.unreverted.length > 0 && !(isGivenUp && this.deaths >= 10)) {
			return `${outcome.unreverted} are not reverted: ${outcome.revertError?.message}`;
		}
		if (JSON.stringify([...new Set(of("reverted"))].filter((name) => !reverted.includes(name))) !== "[]") {
			return "a lost revert";
		}
		const commits = (name: string) => this.shape.committing.has(name);
		const done = log.filter(({ name, isRevert, error }) => name !== undefined && !isRevert && error === undefined);
		const lines = [
			...done.map(({ name }) => name).filter(commits),
			...reverted.filter(commits).map((name) => `-${name}`),
		];
		const written = (await machine.lines()).sort();
		if (JSON.stringify(written) !== JSON.stringify(lines.sort())) return `${written} are written instead of ${lines}`;
		return undefined;
	}
}

/** Returns what is wrong with the seed, if anything is. */
export async function tryFlow(open: () => Promise<Database>, seed: number, danger = 0.04): Promise<string | undefined> {
	const create = (database: Database, danger: number) => new FlowWorld(database, seed, danger);
	const problem = await tryWorlds(open, create, danger, ({ shape }) => !shape.hasRaces);
	return problem && `seed ${seed}, ${problem}`;
}
