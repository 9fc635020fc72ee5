import { describe, expectTypeOf, test } from "vitest";
import { array, number, object, pipe, string, transform } from "valibot";
import {
	type Added,
	Basket,
	type BasketContext,
	type BasketSnapshot,
	type Counts,
	every,
	job,
	limit,
	memoryStore,
	type PayloadOf,
	type Recurrence,
	type StandardSchema,
	type Store,
	type TaskRecord,
} from "../../mod.ts";
import { cron } from "../../src/cron/cron.ts";

interface Mail {
	to: string;
}
interface Tx {
	commit(): void;
}

const store = memoryStore();
const basket = new Basket({
	store,
	tasks: {
		sendMail: async (mail: Mail, context) => {
			expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
			await context.save(mail);
		},
		tick: () => {},
		maybe: (_?: Mail) => {},
		checked: { schema: object({ n: number() }), run: ({ n }: { n: number }) => n, attempts: 3, retain: 1_000 },
	},
});

describe("Basket", () => {
	test("add() is typed by the map of tasks", () => {
		expectTypeOf(basket.add("sendMail", { to: "a" })).toEqualTypeOf<Promise<Added>>();
		basket.add("sendMail", { to: "a" }, { id: "x", delay: 1, priority: 1, lane: "l", tx: undefined });
		basket.add("tick");
		basket.add("maybe");
		basket.add("maybe", { to: "a" });
		basket.add("checked", { n: 1 });
		// @ts-expect-error no such kind
		basket.add("nothing");
		// @ts-expect-error another payload
		basket.add("sendMail", { to: 1 });
		// @ts-expect-error the payload is missing
		basket.add("sendMail");
		// @ts-expect-error no such option
		basket.add("tick", undefined, { lanes: "x" });
		// @ts-expect-error the memory store has not a transactions
		basket.add("tick", undefined, { tx: {} });
	});

	test("schedule() is typed by the map of tasks, and takes what every() and cron() give", () => {
		const hourly = every(3_600_000);
		expectTypeOf(hourly).toEqualTypeOf<Recurrence>();
		expectTypeOf(basket.schedule("a", "sendMail", { to: "a" }, { every: hourly })).toEqualTypeOf<Promise<Added>>();
		basket.schedule("a", "tick", undefined, { every: cron("@daily"), missed: "all", spread: 1, overlap: true });
		basket.schedule("a", "checked", { n: 1 }, { every: every({ text: "x", next: () => undefined }), missed: 60_000 });
		basket.schedule("a", "tick", undefined, { every: every("3600000") });
		// @ts-expect-error no such kind
		basket.schedule("a", "nothing", undefined, { every: hourly });
		// @ts-expect-error another payload
		basket.schedule("a", "sendMail", { to: 1 }, { every: hourly });
		// @ts-expect-error without a schedule
		basket.schedule("a", "tick", undefined, {});
		// @ts-expect-error a number is no schedule
		basket.schedule("a", "tick", undefined, { every: 3_600_000 });
		// @ts-expect-error no such word
		basket.schedule("a", "tick", undefined, { every: hourly, missed: "never" });
		// @ts-expect-error a plain schedule is made one by every()
		basket.schedule("a", "tick", undefined, { every: { text: "x", next: () => undefined } });
		// @ts-expect-error a Date is no schedule
		every(new Date());
	});

	test("a kind that recurs has the payload undefined, and its context tells the instant", () => {
		new Basket({
			store,
			tasks: {
				nightly: {
					run: (_: void, { due, missed }) => expectTypeOf([due, missed]).toEqualTypeOf<(number | undefined)[]>(),
					every: cron("30 2 * * *"),
					missed: "skip",
					spread: 1_000,
					reads: [every, cron],
				},
				// @ts-expect-error a number is no schedule
				wrong: { run: () => {}, every: 1_000 },
			},
		});
	});

	test("add() with collect takes an item of the array that the function takes", () => {
		const collect = { id: "events", ifPresent: "collect" } as const;
		const basket = new Basket({
			store,
			tasks: {
				track: (_events: Mail[]) => {},
				pair: (_pair: readonly [string, number]) => {},
				each: { schema: array(number()), run: (_numbers: number[]) => {} },
				one: (_mail: Mail) => {},
				either: (_mails: Mail[] | Mail) => {},
			},
		});
		expectTypeOf(basket.add("track", { to: "a" }, { ...collect, delay: 1, within: 2, most: 3 })).toEqualTypeOf<
			Promise<Added>
		>();
		basket.add("track", [{ to: "a" }]);
		basket.add("pair", 1, collect);
		basket.add("each", 1, collect);
		basket.add("either", { to: "a" }, collect);
		basket.addMany([{ kind: "track", payload: { to: "a" }, ...collect }, { kind: "track", payload: [{ to: "a" }] }]);
		// @ts-expect-error the array instead of an item
		basket.add("track", [{ to: "a" }], collect);
		// @ts-expect-error an item instead of the array
		basket.add("track", { to: "a" });
		// @ts-expect-error an item instead of the array
		basket.add("track", { to: "a" }, { id: "events", ifPresent: "replace" });
		// @ts-expect-error the id is missing
		basket.add("track", { to: "a" }, { ifPresent: "collect" });
		// @ts-expect-error another item
		basket.add("track", { to: 1 }, collect);
		// @ts-expect-error the function takes no array
		basket.add("one", { to: "a" }, collect);
		// @ts-expect-error only for items
		basket.add("one", { to: "a" }, { id: "events", ifPresent: "replace", most: 3 });
		// @ts-expect-error the array instead of an item
		basket.addMany([{ kind: "track", payload: [{ to: "a" }], ...collect }]);
		// @ts-expect-error the function takes no array
		basket.addMany([{ kind: "one", payload: { to: "a" }, ...collect }]);
	});

	test("a limit takes the payload of its kind, and does not change what add() takes", () => {
		const atOnce = 2;
		const basket = new Basket({
			store,
			tasks: {
				plain: { run: (mail: Mail) => mail.to, limit: limit({ key: ({ to }) => to, atOnce }) },
				before: { limit: limit({ key: ({ to }: Mail) => to, atOnce }), run: (mail: Mail, { save }) => save(mail) },
				whole: { run: (mail: Mail) => mail.to, limit: limit({ rate: { tasks: 1, per: 1_000 } }) },
				typed: { schema: object({ to: string() }), run: ({ to }) => to, limit: limit({ key: ({ to }) => to, atOnce }) },
				wide: {
					schema: object({ to: string(), n: number() }),
					run: ({ n }) => n,
					limit: limit({ key: ({ to }: Mail) => to, atOnce }),
				},
				narrow: {
					run: (mail: Mail & { text: string }) => mail.text,
					limit: limit({ key: ({ to }: Mail) => to, atOnce }),
				},
				text: { run: (to: string) => to, limit: limit({ key: (to) => to, atOnce }) },
			},
		});
		for (const kind of ["plain", "before", "whole", "typed"] as const) {
			basket.add(kind, { to: "ada" });
			// @ts-expect-error another payload
			basket.add(kind, { to: 1 });
		}
		basket.add("wide", { to: "ada", n: 1 });
		basket.add("narrow", { to: "ada", text: "hello" });
		// @ts-expect-error the key takes a part of the payload, but the function takes all of it
		basket.add("narrow", { to: "ada" });
		basket.add("text", "ada");
		new Basket({
			store,
			tasks: {
				// @ts-expect-error the schema has no such property
				a: { schema: object({ n: number() }), run: () => {}, limit: limit({ key: ({ to }: Mail) => to, atOnce }) },
			},
		});
		// @ts-expect-error the key is no text
		limit({ key: () => 5, atOnce });
		// @ts-expect-error a rate needs a time
		limit({ rate: { tasks: 1 } });
		// @ts-expect-error limit() is missing
		new Basket({ store, tasks: { a: { run: () => {}, limit: { atOnce } } } });
		job("a", { limit: limit({ atOnce }) }).step("b", {
			run: ({ input }) => expectTypeOf(input).toEqualTypeOf<undefined>(),
		});
		job<Mail>("a", { limit: limit({ key: ({ to }) => to, atOnce }) });
		// @ts-expect-error the input has no such property
		job<{ n: number }>("a", { limit: limit({ key: ({ to }: Mail) => to, atOnce }) });
		new Basket({ store, tasks: {}, limit: limit({ atOnce }) });
		// @ts-expect-error limit() is missing
		new Basket({ store, tasks: {}, limit: { atOnce } });
	});

	test("a schema types the payload of run(), and add() takes what the schema takes", () => {
		const at = pipe(string(), transform((text) => new Date(text)));
		const own: StandardSchema<number> = { "~standard": { version: 1, vendor: "own", validate: () => ({ value: 1 }) } };
		const basket = new Basket({
			store,
			tasks: {
				at: { schema: at, run: (when) => expectTypeOf(when).toEqualTypeOf<Date>() },
				// Neither the order of the two properties nor a context without a type makes a difference.
				behind: { run: (when, { signal }) => signal.aborted || when.getTime(), schema: at },
				annotated: { schema: at, run: (when: Date, { save }) => save(when) },
				wider: { schema: at, run: (when: Date | string) => when },
				none: { schema: at, run: () => {} },
				own: { schema: own, run: (n) => expectTypeOf(n).toEqualTypeOf<number>() },
			},
		});
		for (const kind of ["at", "behind", "annotated", "wider", "none"] as const) {
			basket.add(kind, "2026-01-01");
			basket.addMany([{ kind, payload: "2026-01-01" }]);
			// @ts-expect-error the output of the schema instead of its input
			basket.add(kind, new Date());
			// @ts-expect-error the payload is missing
			basket.add(kind);
		}
		basket.add("own", 1);
		// @ts-expect-error not a number
		basket.add("own", "1");
		expectTypeOf<PayloadOf<{ schema: typeof at; run: (when: Date) => void }>>().toEqualTypeOf<string>();
		// @ts-expect-error the function does not accept the output of the schema
		new Basket({ store, tasks: { at: { schema: at, run: (when: number) => when } } });
		// @ts-expect-error a Date has no such method
		new Basket({ store, tasks: { at: { schema: at, run: (when) => when.toUpperCase() } } });
		// @ts-expect-error not a task
		new Basket({ store, tasks: { at: 1 } });
		// @ts-expect-error a function is missing
		new Basket({ store, tasks: { at: { schema: at } } });
	});

	test("a payload without a type can be neither used nor added", () => {
		const basket = new Basket({
			store,
			tasks: {
				mail: (payload, { attempt }) => attempt || expectTypeOf(payload).toEqualTypeOf<never>(),
				defined: { run: (payload) => payload, attempts: 3 },
				method: { run: (payload) => payload },
				anything: (payload: unknown) => payload,
				nothing: (_: void, { attempt }) => attempt,
			},
		});
		for (const kind of ["mail", "defined", "method"] as const) {
			// @ts-expect-error the type of the payload is not declared
			basket.add(kind, 42);
			// @ts-expect-error the same error
			basket.add(kind);
			// @ts-expect-error the same error
			basket.addMany([{ kind, payload: 42 }]);
		}
		basket.add("anything", 42);
		basket.add("anything");
		basket.add("nothing");
		// @ts-expect-error a payload without a type is used
		new Basket({ store, tasks: { mail: (payload) => payload.to } });
	});

	test("complete() and save() of a context without a type take the transactions of the store", () => {
		new Basket({
			store: {} as Store<Tx>,
			tasks: {
				// @ts-expect-error not a transaction
				wrong: (_: Mail, { complete }) => complete(42),
				right: (mail: Mail, { complete, save }) => [complete({ commit() {} }), save(mail, { tx: { commit() {} } })],
			},
		});
		// @ts-expect-error the memory store has not a transactions
		new Basket({ store, tasks: { wrong: (_: Mail, { complete }) => complete(42) } });
	});

	test("a basket may be named by its tasks", () => {
		const tasks = { sendMail: (mail: Mail) => mail };
		const named: Basket<typeof tasks> = new Basket({ store, tasks });
		named.add("sendMail", { to: "a" });
		// @ts-expect-error another payload
		named.add("sendMail", 1);
	});

	test("addMany() is typed kind by kind", () => {
		basket.addMany([{ kind: "sendMail", payload: { to: "a" } }, { kind: "tick", id: "x" }]);
		// @ts-expect-error the payload of another kind
		basket.addMany([{ kind: "sendMail", payload: { n: 1 } }]);
		// @ts-expect-error the payload is missing
		basket.addMany([{ kind: "sendMail" }]);
	});

	test("transactions are those of the store", () => {
		const tasks = {
			a: async (_: number, context: BasketContext<number, Tx>) => {
				await context.complete({ commit() {} });
				// @ts-expect-error not a transaction of the store
				await context.complete({});
				await context.save(1, { tx: { commit() {} } });
				// @ts-expect-error not a transaction of the store
				await context.save(1, { tx: {} });
			},
		};
		const basket = new Basket({ store: {} as Store<Tx>, tasks });
		basket.add("a", 1, { tx: { commit() {} } });
		// @ts-expect-error not a transaction of the store
		basket.add("a", 1, { tx: {} });
	});

	test("a context that says of no transactions has none, and one of another store is refused", () => {
		const plain = {
			// @ts-expect-error not a transactions
			complete: (_: Mail, context: BasketContext<Mail>) => context.complete(42),
			// @ts-expect-error not a payload
			save: (_: Mail, context: BasketContext) => context.save({ to: "a" }),
			look: (_: Mail, { id, signal }: BasketContext) => [id, signal],
		};
		new Basket({ store, tasks: plain });
		new Basket({ store: {} as Store<Tx>, tasks: plain });
		const other = { a: (_: Mail, context: BasketContext<Mail, Tx>) => context.complete({ commit() {} }) };
		new Basket({ store: {} as Store<Tx>, tasks: other });
		// @ts-expect-error the memory store has not a transactions
		new Basket({ store, tasks: other });
		// @ts-expect-error the transactions of another store
		new Basket({ store: {} as Store<{ other(): void }>, tasks: other });
	});

	test("save() takes what the schema gives", () => {
		const schema = object({ n: number() });
		new Basket({ store, tasks: { a: { schema, run: (_, { save }) => save({ n: 1 }) } } });
		// @ts-expect-error another payload
		new Basket({ store, tasks: { a: { schema, run: (_, { save }) => save({ n: "x" }) } } });
	});

	test("everything else", () => {
		expectTypeOf(basket.run()).toEqualTypeOf<Promise<void>>();
		expectTypeOf(basket.counts()).toEqualTypeOf<Promise<Counts>>();
		expectTypeOf(basket.get("x")).toEqualTypeOf<Promise<TaskRecord | undefined>>();
		expectTypeOf(basket.list()).toExtend<AsyncIterable<TaskRecord>>();
		expectTypeOf(basket.getSnapshot()).toEqualTypeOf<BasketSnapshot>();
		expectTypeOf(basket).toExtend<AsyncDisposable>();
		expectTypeOf<PayloadOf<(mail: Mail) => void>>().toEqualTypeOf<Mail>();
		expectTypeOf<PayloadOf<{ run: (mail: Mail) => void }>>().toEqualTypeOf<Mail>();
		// @ts-expect-error no such state
		basket.list({ state: "sleeping" });
		// @ts-expect-error a basket needs a store
		new Basket({ tasks: {} });
	});
});
