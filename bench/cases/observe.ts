// What an observer costs: one successful attempt of an async no-op by run(), and one no-op task of a basket in memory, added
// in bulk. The observer has all hooks, which do nothing. otel() works with the API of OpenTelemetry, for which no SDK is
// set: the rest is the cost of that.
import { context, metrics, propagation, trace } from "@opentelemetry/api";
import { Basket, memoryStore, type Observer, observer, run } from "upkeep";
import { otel } from "upkeep/otel";
import { expect, parameters, time, type TimedCase, timeRounds } from "../measure.ts";

const nothing = (): void => {};
const silent: Observer = observer({
	adding: () => nothing,
	started: nothing,
	around: (_, call) => call(),
	ended: nothing,
	renewed: nothing,
	lost: nothing,
});
const observers: Record<string, Observer | undefined> = {
	"": undefined,
	", observer": silent,
	", otel without an SDK": otel({ trace, metrics, propagation, context }),
};

const name = parameters().get("case")!;
const [, subject, suffix] = /^(run|Basket)(.*)$/.exec(name)!;
const observe = observers[suffix!];
if (subject === "run") await time({ [name]: attempts() });
else {await timeRounds(
		parameters().get("plan") === "quick" ? 1_000 : 10_000,
		tasks,
	);}
if ("process" in globalThis) process.exit();

function attempts(): TimedCase {
	// deno-lint-ignore require-await
	const task = async (): Promise<number> => 1;
	const options = { observe };
	const work = async (count: number): Promise<void> => {
		let sum = 0;
		for (let i = 0; i < count; i++) sum += await run(task, options);
		expect(sum, count);
	};
	return { setUp: () => work };
}

async function tasks(): Promise<
	{ work: () => Promise<void>; verify: () => void }
> {
	const count = parameters().get("plan") === "quick" ? 1_000 : 10_000;
	let done = 0;
	// deno-lint-ignore require-await
	const task = async (_: number): Promise<void> => void done++;
	const basket = new Basket({ store: memoryStore(), tasks: { task }, observe });
	await basket.open();
	const entries = Array.from(
		{ length: count },
		(_, payload) => ({ kind: "task" as const, payload }),
	);
	const work = async (): Promise<void> => {
		await basket.addMany(entries);
		await basket.drain();
	};
	return { work, verify: () => expect(done, count) };
}
