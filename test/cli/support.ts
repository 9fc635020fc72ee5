// A fake terminal and a store for the tests of the commands, in virtual time.
import { memoryStore, type Store } from "../../mod.ts";
import type { NewTask } from "../../src/store.ts";
import { encodeFailure } from "../../src/basket/codec.ts";
import type { Catalog, Request, Terminal } from "../../src/cli/terminal.ts";
import type { KindTasks } from "../../src/stores/sql/sql.ts";
import { plain } from "../../src/cli/text.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

/** Records its output. */
export class FakeTerminal implements Terminal {
	readonly isTable: boolean;
	readonly canAsk: boolean;
	columns = 80;
	rows = 24;
	readonly paint = plain;
	readonly clock: VirtualClock = new VirtualClock({ now: 1_000_000_000 });
	readonly #closing = new AbortController();
	readonly closed: AbortSignal = this.#closing.signal;
	printed: string[] = [];
	notes: string[] = [];
	questions: string[] = [];
	drawn: readonly string[] = [];
	answer = "";

	constructor({ isTable = false, canAsk = false }: { isTable?: boolean; canAsk?: boolean } = {}) {
		this.isTable = isTable;
		this.canAsk = canAsk;
	}

	async print(text: string): Promise<void> {
		this.printed.push(...text.split("\n"));
	}

	note(text: string): void {
		this.notes.push(text);
	}

	async ask(question: string): Promise<string> {
		this.questions.push(question);
		return this.answer;
	}

	draw(render: (columns: number, rows: number) => readonly string[]): void {
		this.drawn = render(this.columns, this.rows);
	}

	/** The effect of Ctrl-C. */
	close(): void {
		this.#closing.abort();
	}

	/** The output, parsed as JSON lines. */
	// deno-lint-ignore no-explicit-any -- the tests check the types of the values
	get json(): any[] {
		return this.printed.map((line) => JSON.parse(line));
	}
}

/** A catalog that lists all tasks of these baskets, which have no children, and knows no gates. */
export function catalogOf({ clock }: FakeTerminal, store: Store<never>, baskets = ["default", "jobs"]): Catalog {
	return {
		survey: async (only) => {
			const all = new Map<string, KindTasks>();
			for (const basket of baskets.filter((name) => only === undefined || name === only)) {
				for (const { kind, state, dueAt } of await store.list(basket, { limit: 100_000 })) {
					const key = `${basket} ${kind} ${state}`;
					const { count = 0, dueAt: earlier = Infinity } = all.get(key) ?? {};
					const least = Math.min(earlier, dueAt ?? Infinity);
					all.set(key, { basket, kind, state, count: count + 1, dueAt: least < Infinity ? least : undefined });
				}
			}
			return { at: clock.now(), tasks: [...all.values()] };
		},
		gate: async () => undefined,
	};
}

export function request(command: Request["command"], values: Partial<Request> = {}): Request {
	return {
		...{ command, ids: [], db: "", tables: undefined, basket: "default", state: undefined, kind: undefined },
		...{
			lane: undefined,
			prefix: undefined,
			parent: undefined,
			outcome: undefined,
			text: undefined,
			isLong: false,
			timeout: Infinity,
			isNewest: false,
			after: undefined,
			limit: 50,
			isAll: false,
			isSure: false,
			takesHalfDone: false,
			from: undefined,
			interval: 1_000,
			port: 0,
			jobs: "jobs",
			mayWrite: false,
		},
		...values,
	};
}

/** Creates a store with the clock of the terminal. */
export function storeOf({ clock }: FakeTerminal): Store<never> {
	return memoryStore({ clock, random: () => 0.5 });
}

export async function add(store: Store<never>, ...tasks: Partial<NewTask>[]): Promise<void> {
	await store.add("default", tasks.map((task) => ({ kind: "mail", payload: "{}", delay: 0, priority: 0, ...task })));
}

/** Claims the due tasks of a kind, and makes them fail. */
export async function fail(
	store: Store<never>,
	kind: string,
	type: "dead" | "retry",
	message = "no such user",
): Promise<void> {
	const { claims } = await store.turn("default", {
		settle: [],
		claim: [{ kinds: [kind], limit: 10_000 }],
		lease: 30_000,
	});
	const error = encodeFailure(Object.assign(new Error(message), { code: "EUSER" }));
	const settle = claims.map((ref) => ({
		ref,
		outcome: { type, attempts: ref.attempts + 1, error, delay: 60_000 } as const,
	}));
	await store.turn("default", { settle, claim: [], lease: 30_000 });
}
