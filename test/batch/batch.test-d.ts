import { describe, expectTypeOf, test } from "vitest";
import { number, object, string } from "valibot";
import { Basket, batch, type BatchContext, type BatchFunction, type BatchTask, memoryStore } from "../../mod.ts";
import type { Store } from "../../mod.ts";

interface Mail {
	to: string;
}
interface Tx {
	commit(): void;
}

describe("batch()", () => {
	test("types the payload of add() by that of its tasks", () => {
		const basket = new Basket({
			store: memoryStore(),
			tasks: {
				send: batch({ most: 50, wait: 100 }, async (tasks: readonly BatchTask<Mail>[], { signal, fail }) => {
					expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
					for (const { id, payload, attempt, save } of tasks) {
						expectTypeOf(payload).toEqualTypeOf<Mail>();
						expectTypeOf(attempt).toEqualTypeOf<number>();
						await save(payload);
						fail(id, new Error());
						fail(id);
					}
				}),
				defined: { run: batch({ most: 2 }, (_: readonly BatchTask<string>[]) => {}), attempts: 5, timeout: 1_000 },
				single: (_: number) => {},
			},
		});
		basket.add("send", { to: "ada" }, { lane: "l" });
		basket.add("defined", "x");
		basket.add("single", 1);
		// @ts-expect-error another payload
		basket.add("send", { to: 1 });
		// @ts-expect-error another payload
		basket.add("defined", 1);
		// @ts-expect-error the payload is missing
		basket.add("send");
	});

	test("agrees with a schema, which types what add() takes", () => {
		const schema = object({ to: string() });
		const basket = new Basket({
			store: memoryStore(),
			tasks: { send: { schema, run: batch({ most: 2 }, (_: readonly BatchTask<Mail>[]) => {}) } },
		});
		basket.add("send", { to: "ada" });
		// @ts-expect-error not what the schema takes
		basket.add("send", { to: 1 });
		new Basket({
			store: memoryStore(),
			tasks: {
				// @ts-expect-error the function takes another payload than the schema gives
				send: { schema: object({ n: number() }), run: batch({ most: 2 }, (_: readonly BatchTask<Mail>[]) => {}) },
			},
		});
	});

	test("gives the transactions of its store to its tasks", () => {
		const store = {} as Store<Tx>;
		const send = batch({ most: 2 }, async (tasks: readonly BatchTask<Mail, Tx>[]) => {
			for (const task of tasks) await task.complete({ commit() {} });
		});
		expectTypeOf(send).toEqualTypeOf<BatchFunction<Mail, Tx>>();
		new Basket({ store, tasks: { send } }).add("send", { to: "ada" }, { tx: { commit() {} } });
		// @ts-expect-error a store without transactions
		new Basket({ store: memoryStore(), tasks: { send } });
	});

	test("takes a function with or without further arguments", () => {
		expectTypeOf(batch<string>({ most: 1 }, () => {})).toEqualTypeOf<BatchFunction<string>>();
		const handle = (tasks: readonly BatchTask<string>[], context: BatchContext) => [tasks, context];
		expectTypeOf(batch({ most: 1 }, handle)).toEqualTypeOf<BatchFunction<string>>();
		// @ts-expect-error "most" is missing
		batch<string>({ wait: 1 }, handle);
	});
});
