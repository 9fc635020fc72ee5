// One successful attempt. The same loop awaits the calls of each case one by one. If a peer allows it, its objects
// are created once, outside the loop. p-retry and cockatiel run with their default options.
import { handleAll, retry } from "cockatiel";
import pRetry from "p-retry";
import { run, type TaskContext } from "upkeep";
import { expect, time, type TimedCase, type Work } from "../measure.ts";
import { handWritten } from "./hand-written.ts";

// The measured tasks are async, although they await nothing.
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
