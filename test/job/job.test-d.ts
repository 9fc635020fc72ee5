import { describe, expectTypeOf, test } from "vitest";
import { object, pipe, string, transform } from "valibot";
import {
	type AddedJob,
	durable,
	job,
	type JobOutcome,
	type JobTypes,
	memoryStore,
	Processor,
	type StepContext,
	type Store,
	type TaskFailure,
	unchecked,
} from "../../mod.ts";

interface Tx {
	commit(): void;
}

const deleteUser = job<{ userId: string }>("delete-user")
	.step("auth", {
		run: ({ input }) => Promise.resolve(input.userId.length),
		revert: ({ input, result, results, error }) => {
			expectTypeOf(input).toEqualTypeOf<{ userId: string }>();
			expectTypeOf(result).toEqualTypeOf<number>();
			expectTypeOf(results.auth).toEqualTypeOf<number>();
			expectTypeOf(error).toEqualTypeOf<TaskFailure>();
		},
		attempts: 4,
	})
	.sleep("night", 1_000)
	.waitFor("approval", { schema: unchecked<boolean>(), timeout: 1_000 })
	.waitFor("named", { schema: object({ n: string() }) })
	.step("orders", {
		run: ({ input, results, signal, attempt, idempotencyKey }) => {
			expectTypeOf(input.userId).toEqualTypeOf<string>();
			expectTypeOf(results.auth).toEqualTypeOf<number>();
			expectTypeOf(results.night).toEqualTypeOf<undefined>();
			expectTypeOf(results.approval).toEqualTypeOf<boolean>();
			expectTypeOf(results.named).toEqualTypeOf<{ n: string }>();
			expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
			expectTypeOf(attempt).toEqualTypeOf<number>();
			expectTypeOf(idempotencyKey).toEqualTypeOf<string>();
			// @ts-expect-error a later step
			results.orders;
			return [results.auth];
		},
	});
const plain = job("plain").step("a", { run: () => "a" });
const optional = job<string | undefined>("optional").step("a", { run: ({ input }) => input });
const processor = new Processor({ store: memoryStore(), jobs: [deleteUser, plain, optional] });

describe("Processor", () => {
	test("addMany() is typed by the jobs", () => {
		expectTypeOf(
			processor.addMany([{ job: plain }, { job: deleteUser, input: { userId: "u" }, id: "x" }, { job: optional }]),
		).toExtend<Promise<readonly AddedJob[]>>();
		// @ts-expect-error the input is missing
		processor.addMany([{ job: deleteUser }]);
		// @ts-expect-error another input
		processor.addMany([{ job: plain }, { job: deleteUser, input: { userId: 1 } }]);
	});

	test("add() refuses a job that the processor does not have", () => {
		const other = job<number>("other").step("b", { run: () => 1 });
		// @ts-expect-error another job
		processor.add(other, 1);
		// @ts-expect-error another job
		processor.addMany([{ job: other, input: 1 }]);
		// @ts-expect-error the processor has no jobs
		new Processor({ store: memoryStore(), jobs: [] }).add(plain);
		const any: Processor = processor;
		any.add(other, 1);
	});

	test("add() takes what the schema of the job takes", () => {
		const at = pipe(string(), transform((text) => new Date(text)));
		const dated = job("dated", { schema: at }).step("a", {
			run: ({ input }) => expectTypeOf(input).toEqualTypeOf<Date>(),
		});
		const processor = new Processor({ store: memoryStore(), jobs: [dated] });
		processor.add(dated, "2026-01-01");
		processor.addMany([{ job: dated, input: "2026-01-01" }]);
		// @ts-expect-error the output of the schema instead of its input
		processor.add(dated, new Date());
		// @ts-expect-error the input is missing
		processor.add(dated);
	});

	test("signal() takes the steps that the job waits with, and their values", async () => {
		const { id } = await processor.add(deleteUser, { userId: "u" });
		processor.signal(id, "approval", true);
		processor.signal(id, "named", { n: "x" });
		processor.signal("any", "approval", true);
		// @ts-expect-error no such step
		processor.signal(id, "nothing", true);
		// @ts-expect-error the step does not wait
		processor.signal(id, "auth", true);
		// @ts-expect-error another value
		processor.signal(id, "approval", "yes");
		// @ts-expect-error the value is missing
		processor.signal(id, "approval");
		// @ts-expect-error another value
		processor.signal(id, "named", { n: 1 });
		// @ts-expect-error no step of this name waits in any job
		processor.signal("any", "nothing");
		const open = job("open").waitFor("go");
		const started = await new Processor({ store: memoryStore(), jobs: [open] }).add(open);
		const any: Processor = processor;
		any.signal(started.id, "go");
		any.signal(started.id, "go", 1);
		any.signal("any", "whatever", 1);
		const dated = job("dated").waitFor("at", { schema: pipe(string(), transform((text) => new Date(text))) });
		expectTypeOf<JobTypes<typeof dated>["results"]["at"]>().toEqualTypeOf<Date>();
		const due = await new Processor({ store: memoryStore(), jobs: [dated] }).add(dated);
		any.signal(due.id, "at", "2026-01-01");
		// @ts-expect-error the output of the schema instead of its input
		any.signal(due.id, "at", new Date());
	});

	test("all() types the results of its branches, whatever their functions take", () => {
		const schema = object({ n: string() });
		const limits = { attempts: 3, timeout: 1_000 };
		const trip = job<{ to: string }>("trip")
			.all("book", {
				flight: {
					...limits,
					run: ({ input }) => input.to,
					revert: ({ result }: { result: string }) => void result,
				},
				hotel: { run: () => Promise.resolve(7), revert: ({ result }) => expectTypeOf(result).toEqualTypeOf<number>() },
				taxi: { run: ({ input }) => ({ n: input.to }), schema, attempts: 2 },
				bus: {
					run: (context) => context.input.to,
					revert: ({ input }) => expectTypeOf(input.to).toEqualTypeOf<string>(),
				},
			})
			.step("mail", { run: ({ results }) => results.book });
		type Results = {
			readonly flight: string;
			readonly hotel: number;
			readonly taxi: { n: string };
			readonly bus: string;
		};
		expectTypeOf<JobTypes<typeof trip>["value"]>().toEqualTypeOf<Results>();
		// @ts-expect-error another result
		job<string>("a").all("b", { c: { run: ({ input }) => input, revert: ({ result }: { result: number }) => result } });
		// @ts-expect-error no function
		job("a").all("b", { c: { run: 1 } });
		// @ts-expect-error no option
		job<string>("a").all("b", { c: { run: ({ input }) => input, atempts: 1 } });
		// @ts-expect-error another type of an option
		job("a").all("b", { c: { run: () => 1, attempts: "1" } });
		// @ts-expect-error a schema of another result
		job<string>("a").all("b", { c: { run: ({ input }) => ({ n: input.length }), schema } });
	});

	test("each() types its items and their results, and what into() makes of them", () => {
		const album = job<{ files: string[] }>("album")
			.step("sizes", { run: () => new Set([1, 2]) })
			.each("thumbs", {
				items: ({ input, results, id, signal }) => {
					expectTypeOf(results).toEqualTypeOf<{ readonly sizes: Set<number> }>();
					expectTypeOf(id).toEqualTypeOf<string>();
					expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
					return input.files;
				},
				run: async ({ item, index, attempt, idempotencyKey }) => {
					expectTypeOf(item).toEqualTypeOf<string>();
					expectTypeOf(index).toEqualTypeOf<number>();
					expectTypeOf(attempt).toEqualTypeOf<number>();
					expectTypeOf(idempotencyKey).toEqualTypeOf<string>();
					return item.length;
				},
				revert: ({ item, result, error }) => {
					expectTypeOf(item).toEqualTypeOf<string>();
					expectTypeOf(result).toEqualTypeOf<number>();
					expectTypeOf(error).toEqualTypeOf<TaskFailure>();
				},
				atOnce: 20,
				attempts: 3,
			})
			.each("some", { items: async ({ results }) => results.sizes, run: ({ item }) => item, tolerate: 1 })
			.each("sum", {
				items: ({ results }) => results.thumbs,
				run: ({ item }) => item,
				into: (sum: string | undefined, result, index) => {
					expectTypeOf(result).toEqualTypeOf<number>();
					expectTypeOf(index).toEqualTypeOf<number>();
					return `${sum}${result}`;
				},
			});
		expectTypeOf<JobTypes<typeof album>["results"]["thumbs"]>().toEqualTypeOf<readonly number[]>();
		expectTypeOf<JobTypes<typeof album>["results"]["some"]>().toEqualTypeOf<readonly (number | undefined)[]>();
		expectTypeOf<JobTypes<typeof album>["value"]>().toEqualTypeOf<string>();
		const items = () => [1];
		const sum = job("a").each("b", { items, run: ({ item }) => item, into: (sum: number = 0, result) => sum + result });
		expectTypeOf<JobTypes<typeof sum>["value"]>().toEqualTypeOf<number>();
		const checked = job("a").each("b", { items, run: () => ({ n: "1" }), schema: object({ n: string() }) });
		expectTypeOf<JobTypes<typeof checked>["value"]>().toEqualTypeOf<readonly { n: string }[]>();
		// @ts-expect-error no list
		job("a").each("b", { items: () => 1, run: () => 1 });
		// @ts-expect-error no list, but a function is wanted
		job("a").each("b", { items: [1], run: () => 1 });
		// @ts-expect-error no work
		job("a").each("b", { items });
		// @ts-expect-error items get no input
		job<string>("a").each("b", { items, run: ({ input }) => input });
		// @ts-expect-error items get no results
		job("a").each("b", { items, run: ({ results }) => results });
		// @ts-expect-error no option
		job("a").each("b", { items, run: () => 1, atonce: 1 });
		// @ts-expect-error another type of an option
		job("a").each("b", { items, run: () => 1, atOnce: "1" });
		// @ts-expect-error another type of an option
		job("a").each("b", { items, run: () => 1, tolerate: true });
		// @ts-expect-error another result
		job("a").each("b", { items, run: () => 1, into: (sum: string | undefined, result: string) => sum + result });
		// @ts-expect-error a schema of another result
		job("a").each("b", { items, run: () => ({ n: 1 }), schema: object({ n: string() }) });
		job<number, Tx>("a").each("b", { items, run: ({ commit, item }) => commit({ commit() {} }, item) });
		// @ts-expect-error a job without a type of transactions has none
		job("a").each("b", { items, run: ({ commit, item }) => commit({ commit() {} }, item) });
	});

	test("job() has the value of another job, and takes what the schema of that one takes", async () => {
		const at = pipe(string(), transform((text) => new Date(text)));
		const dated = job("dated", { schema: at }).step("a", { run: ({ input }) => input.getTime() });
		const flow = durable("flow", async (_, input: { n: number }) => String(input.n));
		const parent = job<{ at: string }>("parent")
			.step("n", { run: () => 1 })
			.job("dated", dated, ({ input, results }) => {
				expectTypeOf(results).toEqualTypeOf<{ readonly n: number }>();
				return input.at;
			})
			.job("flow", flow, async ({ results }) => ({ n: results.dated }))
			.job("optional", optional)
			.job("plain", plain);
		expectTypeOf<JobTypes<typeof parent>["results"]["dated"]>().toEqualTypeOf<number>();
		expectTypeOf<JobTypes<typeof parent>["results"]["flow"]>().toEqualTypeOf<string>();
		expectTypeOf<JobTypes<typeof parent>["value"]>().toEqualTypeOf<string>();
		// @ts-expect-error the output of the schema instead of its input
		job("a").job("b", dated, () => new Date());
		// @ts-expect-error another input
		job("a").job("b", flow, () => ({ n: "1" }));
		// @ts-expect-error the input is missing
		job("a").job("b", dated);
		// @ts-expect-error no input
		job("a").job("b", plain, () => 1);
		// @ts-expect-error no job
		job("a").job("b", { name: "c" }, () => 1);
		const withTx = job<number, Tx>("tx").step("a", { run: ({ commit }) => commit({ commit() {} }) });
		job<number, Tx>("a").job("b", withTx, ({ input }) => input).job("c", plain);
		// @ts-expect-error a job with transactions in one without
		job<number>("a").job("b", withTx, ({ input }) => input);
		// A processor has the jobs of its jobs, but adds only those that it was given.
		// @ts-expect-error another job
		new Processor({ store: memoryStore(), jobs: [parent] }).add(dated, "2026-01-01");
	});

	test("a schema types the result of a step, be it asynchronous or not", () => {
		const schema = object({ n: string() });
		const checked = job("checked")
			.step("a", { schema, run: async () => ({ n: "a" }) })
			.step("b", { schema, run: () => ({ n: "b" }) })
			.step("c", { run: async ({ results }) => results.a.n + results.b.n });
		expectTypeOf<JobTypes<typeof checked>["value"]>().toEqualTypeOf<string>();
		// @ts-expect-error another result
		job("checked").step("a", { schema, run: async () => ({ n: 1 }) });
	});

	test("commit() takes the transactions of the store, and gives the result of the step", () => {
		const withTx = job<number, Tx>("tx")
			.step("a", {
				run: async ({ commit, input }) => await commit({ commit() {} }, input),
				revert: ({ commit }) => commit({ commit() {} }),
			})
			.step("b", { run: ({ commit }) => commit({ commit() {} }) })
			.step("c", { run: ({ results }) => results });
		expectTypeOf<JobTypes<typeof withTx>["results"]["a"]>().toEqualTypeOf<number>();
		expectTypeOf<JobTypes<typeof withTx>["results"]["b"]>().toEqualTypeOf<undefined>();
		// @ts-expect-error not a transaction
		job<number, Tx>("wrong").step("a", { run: ({ commit }) => commit(42) });
		// @ts-expect-error the same in a revert
		job<number, Tx>("wrong").step("a", { run: () => 1, revert: ({ commit }) => commit(42) });
		// @ts-expect-error a job without a type of transactions has none
		job<number>("wrong").step("a", { run: ({ commit }) => commit(42) });
		// @ts-expect-error a context with the transactions of another database
		job<number>("wrong").step("a", { run: (context: StepContext<number, unknown, Tx>) => context });
		const store = {} as Store<Tx>;
		new Processor({ store, jobs: [withTx, plain] }).add(withTx, 1, { tx: { commit() {} } });
		// @ts-expect-error the memory store has not a transactions
		new Processor({ store: memoryStore(), jobs: [withTx] });
		// @ts-expect-error the transactions of another store
		new Processor({ store: {} as Store<{ other(): void }>, jobs: [plain, withTx] });
	});

	test("add() is typed by the job", () => {
		expectTypeOf(processor.add(plain)).toEqualTypeOf<Promise<AddedJob<typeof plain>>>();
		processor.add(deleteUser, { userId: "u" }, { id: "x", delay: 1, priority: 1, lane: "l" });
		processor.add(optional);
		processor.add(optional, "x");
		// @ts-expect-error the input is missing
		processor.add(deleteUser);
		// @ts-expect-error another input
		processor.add(deleteUser, { userId: 1 });
		// @ts-expect-error no input
		processor.add(plain, 1);
	});

	test("wait() and result() are typed by the id of the job", async () => {
		const { id } = await processor.add(deleteUser, { userId: "u" });
		expectTypeOf(id).toExtend<string>();
		const outcome = await processor.wait(id);
		if (outcome.status === "completed") {
			expectTypeOf(outcome.value).toEqualTypeOf<number[]>();
			expectTypeOf(outcome.results.auth).toEqualTypeOf<number>();
			expectTypeOf(outcome.error).toEqualTypeOf<undefined>();
		} else {
			expectTypeOf(outcome.results.auth).toEqualTypeOf<number | undefined>();
			expectTypeOf(outcome.error).toEqualTypeOf<TaskFailure>();
		}
		expectTypeOf(processor.result("any")).toEqualTypeOf<Promise<JobOutcome | undefined>>();
	});
});
