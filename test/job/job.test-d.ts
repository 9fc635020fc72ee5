import { describe, expectTypeOf, test } from "vitest";
import { object, string } from "valibot";
import {
	type Added,
	type AddedJob,
	job,
	type JobOutcome,
	memoryStore,
	Processor,
	type TaskFailure,
} from "../../mod.ts";

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
	.waitFor<"approval", boolean>("approval", { timeout: 1_000 })
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
		).toEqualTypeOf<Promise<readonly Added[]>>();
		// @ts-expect-error the input is missing
		processor.addMany([{ job: deleteUser }]);
		// @ts-expect-error another input
		processor.addMany([{ job: plain }, { job: deleteUser, input: { userId: 1 } }]);
	});

	test("add() is typed by the job", () => {
		expectTypeOf(processor.add(plain)).toEqualTypeOf<Promise<AddedJob<{ readonly a: string }, string>>>();
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
