// One successful attempt. All cases are awaited one by one in the same loop. The peers have what they need made once,
// outside of the loop, as far as they allow it; p-retry and cockatiel run with the options that they have by default.
import { handleAll, retry } from "cockatiel";
import pRetry from "p-retry";
import { run, type TaskContext } from "upkeep";
import { expect, time, type TimedCase, type Work } from "../measure.ts";
import { handWritten } from "./hand-written.ts";

// Async although they await nothing: that is the task to be measured.
// deno-lint-ignore require-await
const task = async (): Promise<number> => 1;
// deno-lint-ignore require-await
const reader = async ({ signal }: Pick<TaskContext, "signal">): Promise<number> => signal.aborted ? 0 : 1;

const { signal } = new AbortController();
const timeout = 30_000;
const options = { attempts: 3, signal, timeout };
const policy = retry(handleAll, {});

await time({
	"bare await": awaited(task),
	"run": awaited(() => run(task)),
	"cockatiel retry": awaited(() => policy.execute(task)),
	"p-retry": awaited(() => pRetry(task)),
	"run, signal and timeout, unread": awaited(() => run(task, options)),
	"run, signal and timeout, read": awaited(() => run(reader, options)),
	"hand-written loop, signal read": awaited(() => handWritten(reader, signal, timeout)),
});

function awaited(operation: () => Promise<number>): TimedCase {
	const work: Work = async (count: number): Promise<void> => {
		let sum = 0;
		for (let i = 0; i < count; i++) sum += await operation();
		expect(sum, count);
	};
	return { setUp: () => work };
}
