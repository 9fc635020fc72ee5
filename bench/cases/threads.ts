// Calls to one thread that is already running. The thread of a peer accepts as many concurrent tasks as the case has.
import process from "node:process";
import { Piscina } from "piscina";
import { Tinypool } from "tinypool";
import { threadWorker } from "upkeep/threads";
import { expect, time, type TimedCase, type Work } from "../measure.ts";

type Add = (value: number) => Promise<number>;

const many = 100;
const plain: string = new URL("./threads-plain.mjs", import.meta.url).href;
const served = new URL("./threads-served.mjs", import.meta.url);

const openers: Record<string, (concurrency: number) => Add | Promise<Add>> = {
	"Thread.call": openThread,
	piscina: (concurrency: number) => callerOf(new Piscina(optionsFor(concurrency))),
	tinypool: (concurrency: number) => callerOf(new Tinypool(optionsFor(concurrency))),
};

const cases: Record<string, TimedCase> = {};
for (const [name, open] of Object.entries(openers)) {
	cases[name] = { setUp: async () => oneByOne(await open(1)) };
	cases[`${name}, ${many}`] = { batch: many, setUp: async () => together(await open(many)) };
}
await time(cases);
process.exit();

async function openThread(): Promise<Add> {
	const { createWorker } = threadWorker<typeof import("./threads-plain.ts")>(served);
	const thread = await createWorker();
	return (value: number) => thread.call("add", [value]);
}

function callerOf(pool: Piscina | Tinypool): Add {
	const options = { name: "add" };
	return (value: number) => pool.run(value, options);
}

function optionsFor(concurrency: number): object {
	return { filename: plain, minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: concurrency };
}

function oneByOne(add: Add): Work {
	return async (count: number) => {
		let value = 0;
		while (value < count) value = await add(value);
		expect(value, count);
	};
}

function together(add: Add): Work {
	return async (count: number) => {
		for (let done = 0; done < count; done += many) {
			const values: number[] = await Promise.all(Array.from({ length: many }, (_, i: number) => add(i)));
			expect(values[many - 1], many);
		}
	};
}
