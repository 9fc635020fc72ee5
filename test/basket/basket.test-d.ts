import { describe, expectTypeOf, test } from "vitest";
import { number, object } from "valibot";
import {
	type Added,
	Basket,
	type BasketContext,
	type BasketSnapshot,
	type Counts,
	memoryStore,
	type PayloadOf,
	type Store,
	type TaskRecord,
} from "../../mod.ts";

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
		// @ts-expect-error the memory store has no transactions
		basket.add("tick", undefined, { tx: {} });
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
				// @ts-expect-error no such transaction
				await context.complete({});
			},
		};
		const basket = new Basket({ store: {} as Store<Tx>, tasks });
		basket.add("a", 1, { tx: { commit() {} } });
		// @ts-expect-error no such transaction
		basket.add("a", 1, { tx: {} });
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
		// @ts-expect-error there is no basket without a store
		new Basket({ tasks: {} });
	});
});
