// Many concurrent attempts on one signal: all start, then all end.
import { run, type TaskContext } from "upkeep";
import { expect, time, type TimedCase } from "../measure.ts";
import { handWritten } from "./hand-written.ts";

type Reader = (context: Pick<TaskContext, "signal">) => Promise<number>;

const { signal } = new AbortController();

await time({
	"run, 10": inFlight(10, runOne),
	"run, 100": inFlight(100, runOne),
	"run, 1,000": inFlight(1_000, runOne),
	"run, 10,000": inFlight(10_000, runOne),
	"run, 40,000": inFlight(40_000, runOne),
	"a listener each, 10": inFlight(10, loopOne),
	"a listener each, 100": inFlight(100, loopOne),
	"a listener each, 1,000": inFlight(1_000, loopOne),
	"a listener each, 10,000": inFlight(10_000, loopOne),
});

function runOne(task: Reader): Promise<number> {
	return run(task, { signal });
}

function loopOne(task: Reader): Promise<number> {
	return handWritten(task, signal);
}

function inFlight(batch: number, start: (task: Reader) => Promise<number>): TimedCase {
	const work = async (count: number): Promise<void> => {
		for (let done = 0; done < count; done += batch) expect(await together(batch, start), batch);
	};
	return { batch, setUp: () => work };
}

async function together(count: number, start: (task: Reader) => Promise<number>): Promise<number> {
	const { promise: gate, resolve: open } = Promise.withResolvers<number>();
	const task: Reader = ({ signal }) => signal.aborted ? Promise.resolve(0) : gate;
	const results: Promise<number>[] = [];
	for (let i = 0; i < count; i++) results.push(start(task));
	open(1);
	return (await Promise.all(results)).reduce((sum: number, result: number) => sum + result);
}
