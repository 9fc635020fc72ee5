import { describe, expectTypeOf, test } from "vitest";
import { object, pipe, string, transform } from "valibot";
import {
	type AddedJob,
	type AnyJob,
	type Durable,
	durable,
	type FlowRevertContext,
	type FlowStepContext,
	job,
	type JobDefinition,
	type JobTypes,
	memoryStore,
	Processor,
	type TaskFailure,
	unchecked,
} from "../../mod.ts";

const onboard = durable("onboard", async (flow, { user }: { user: string }) => {
	expectTypeOf(user).toEqualTypeOf<string>();
	const account = await flow.step("account", (context) => {
		expectTypeOf(context).toEqualTypeOf<FlowStepContext>();
		return { id: 1 };
	}, {
		revert: (account, context) => {
			expectTypeOf(account).toEqualTypeOf<{ id: number }>();
			expectTypeOf(context).toEqualTypeOf<FlowRevertContext>();
		},
	});
	expectTypeOf(account).toEqualTypeOf<{ id: number }>();
	expectTypeOf(await flow.sleep(["a", 1, true, null], 1)).toEqualTypeOf<void>();
	expectTypeOf(await flow.waitFor("any")).toEqualTypeOf<unknown>();
	expectTypeOf(await flow.waitFor<boolean>("given")).toEqualTypeOf<boolean>();
	expectTypeOf(await flow.waitFor("schema", { schema: unchecked<number>() })).toEqualTypeOf<number>();
	const [a, b] = await Promise.all([flow.step("a", () => 1), flow.step("b", () => Promise.resolve("b"))]);
	expectTypeOf(a).toEqualTypeOf<number>();
	expectTypeOf(b).toEqualTypeOf<string>();
	// @ts-expect-error no name
	await flow.step({ name: "x" }, () => 1);
	// @ts-expect-error no schema of its result
	await flow.step("c", () => 1, { schema: unchecked<string>() });
	return [account.id];
});

const withoutInput = durable("without", () => 1);
const chain = job<number>("chain").step("a", { run: () => true });
const processor = new Processor({ store: memoryStore(), jobs: [onboard, withoutInput, chain] });

describe("durable()", () => {
	test("infers the input and the value of its body", () => {
		expectTypeOf(onboard).toEqualTypeOf<Durable<{ user: string }, number[]>>();
		expectTypeOf<JobTypes<typeof onboard>["value"]>().toEqualTypeOf<number[]>();
		expectTypeOf(onboard).toExtend<AnyJob>();
		expectTypeOf(onboard).toExtend<JobDefinition>();
		expectTypeOf(chain).toExtend<JobDefinition>();
		// @ts-expect-error a durable function is no chain
		onboard.step("a", { run: () => 1 });
	});

	test("takes the input alone, and the value with it", () => {
		const one = durable<{ n: number }>("one", async (flow, { n }) => await flow.step("a", () => n));
		expectTypeOf(one).toEqualTypeOf<Durable<{ n: number }, unknown>>();
		const both = durable<{ n: number }, string>("both", (_, { n }) => String(n));
		expectTypeOf(both).toEqualTypeOf<Durable<{ n: number }, string>>();
	});

	test("takes the input of its schema", () => {
		const schema = object({ n: pipe(string(), transform(Number)) });
		const dated = durable("dated", (_, { n }: { n: number }) => n, { schema });
		expectTypeOf(dated).toEqualTypeOf<Durable<{ n: number }, number, { n: string }>>();
		// @ts-expect-error another schema
		durable("wrong", (_, { n }: { n: string }) => n, { schema });
	});

	test("is added and waited for as a job", async () => {
		expectTypeOf(processor.add(withoutInput)).toEqualTypeOf<Promise<AddedJob<typeof withoutInput>>>();
		// @ts-expect-error the input is missing
		processor.add(onboard);
		const { id } = await processor.add(onboard, { user: "ada" });
		const outcome = await processor.wait(id);
		if (outcome.status === "completed") expectTypeOf(outcome.value).toEqualTypeOf<number[]>();
		else expectTypeOf(outcome.error).toEqualTypeOf<TaskFailure>();
		processor.signal(id, "approval", true);
		processor.signal("any id", "approval");
		await processor.addMany([{ job: onboard, input: { user: "bob" } }, { job: chain, input: 1 }]);
	});
});
