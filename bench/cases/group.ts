// Many no-op tasks that are started at once, until all have ended. The tasks of a group have names, states and a signal;
// those of Effect are fibers without a name.
import { Effect } from "effect";
import { Group } from "upkeep";
import { expect, time, type TimedCase } from "../measure.ts";

const batch = 1_000;
const names: string[] = Array.from({ length: batch }, (_, i) => `task ${i}`);
let done = 0;
// The measured task is async, although it awaits nothing.
// deno-lint-ignore require-await
const task = async (): Promise<void> => {
	done++;
};

await time({
	"bare promise": many(() => Promise.all(names.map(task))),
	"Group.spawn": many(() => {
		const group = new Group({ forget: true });
		for (const name of names) group.spawn(name, task);
		return group.wait();
	}),
	"Effect.runPromise": many(() => Promise.all(names.map(() => Effect.runPromise(Effect.promise(task))))),
});

function many(start: () => Promise<unknown>): TimedCase {
	const work = async (count: number): Promise<void> => {
		done = 0;
		for (let started = 0; started < count; started += batch) await start();
		expect(done, count);
	};
	return { batch, setUp: () => work };
}
