// Each callback of a processor may call any method synchronously. The guarantees for jobs must still hold.
import { describe, expect, test } from "vitest";
import { job, type Processor } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import { openMemory } from "./database.ts";
import { isPage } from "../support.ts";
import { type Machine, withMachines } from "./support.ts";

const noop = () => {};

/** All public methods that a callback may call; `cancel` and `delete` only for jobs whose end does not matter. */
const calls: Record<string, (processor: Processor, random: Random) => unknown> = {
	add: (processor, random) => processor.add(minor, undefined, { id: `minor-${random.below(20)}` }),
	addMany: (processor, random) => processor.addMany([{ job: minor, id: `minor-${random.below(20)}` }]),
	cancel: (processor, random) => processor.cancel(`minor-${random.below(20)}`),
	delete: (processor, random) => processor.delete(`minor-${random.below(20)}`),
	counts: (processor) => processor.counts(),
	drain: (processor) => {
		const controller = new AbortController();
		queueMicrotask(() => controller.abort("enough"));
		return processor.drain({ signal: controller.signal });
	},
	getSnapshot: (processor) => processor.getSnapshot(),
	hold: async (processor, random) => {
		const id = `major-${random.below(10)}`;
		await processor.hold(id);
		await processor.release(id);
	},
	list: (processor) => processor.list().next(),
	pause: (processor) => {
		processor.pause();
		processor.resume();
	},
	result: (processor, random) => processor.result(`major-${random.below(10)}`),
	run: (processor) => processor.run(),
	signal: (processor, random) => processor.signal(`major-${random.below(10)}`, "go", 1),
	state: (processor, random) => processor.get(`major-${random.below(10)}`),
	stop: (processor) => processor.stop(),
	subscribe: (processor) => processor.subscribe(noop)(),
	wait: (processor, random) => processor.wait(`major-${random.below(10)}`),
};

const minor = job("minor").step("a", { run: noop, revert: noop }).waitFor("never");

async function storm(machine: Machine, seed: number): Promise<void> {
	const random = new Random(seed);
	const effects = new Map<string, string[]>();
	let left = 400;
	let isBusy = false;
	const callBack = (): void => {
		// The calls of a subscriber would call it again.
		if (isBusy || --left < 0) return;
		isBusy = true;
		for (let count = random.below(4); count > 0; count--) {
			const call = calls[random.pick(Object.keys(calls))]!;
			Promise.resolve(call(processor, random)).catch(noop);
		}
		isBusy = false;
	};
	const step = (name: string) => async ({ id, attempt }: { id: string; attempt: number }) => {
		callBack();
		if (attempt === 1 && id.endsWith("3")) throw new Error("once");
		if (name === "c" && id.endsWith("7")) throw new Error("always");
		effects.set(id, [...effects.get(id) ?? [], name]);
		if (random.chance(0.5)) await Promise.resolve();
		callBack();
	};
	const options = { attempts: 3, backoff: 10 };
	const major = job("major")
		.step("a", { ...options, run: step("a"), revert: step("undo a") })
		.waitFor("go", { timeout: 10_000_000 })
		.step("b", { ...options, run: step("b"), revert: step("undo b") })
		.step("c", { ...options, run: step("c") });
	const processor: Processor = machine.processor([major, minor], {
		onSettled: callBack,
		onAttemptFailed: callBack,
		onError: callBack,
		concurrency: 3,
	});
	processor.subscribe(callBack);
	const jobs = Array.from({ length: 10 }, (_, n) => ({ job: major, id: `major-${n}` }));
	const ids = (await processor.addMany(jobs)).map(({ id }) => id);
	for (let round = 0; round < 60; round++) {
		void processor.run();
		await machine.advance(5_000);
	}
	left = 0;
	for (const id of ids) await processor.signal(id, "go", 1);
	void processor.run();
	await machine.advance(200_000);
	for (const id of ids) {
		const status = (await processor.result(id))?.status;
		const isDoomed = id.endsWith("7");
		const wanted = isDoomed ? ["a", "b", "undo b", "undo a"] : ["a", "b", "c"];
		expect([seed, id, status, effects.get(id)]).toEqual([seed, id, isDoomed ? "reverted" : "completed", wanted]);
	}
	await Promise.all([processor.stop(), machine.advance(10_000)]);
	expect(processor.getSnapshot()).toMatchObject({ state: "stopped", jobs: new Map() });
}

describe("Processor", () => {
	test("keeps its promises, whatever its callbacks call back", () =>
		withMachines(openMemory, async (make) => {
			for (let seed = 1; seed <= (isPage ? 7 : 20); seed++) await storm(await make(), seed);
		}), 60_000);
});
