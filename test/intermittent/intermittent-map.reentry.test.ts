// Each callback of an IntermittentMap attaches to any key or detaches any listener synchronously. The laws must hold
// afterwards.
import { describe, expect, test } from "vitest";
import { IntermittentMap, sleep } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import fc from "../property.ts";
import { Script } from "../script.ts";
import { isPage, SpiedController } from "../support.ts";

interface Listener {
	readonly key: string;
	readonly controller: SpiedController;
	state: "waiting" | "listening" | "refused";
}

/** Fewer runs in pages and workerd, where a macrotask is slow. The behavior does not depend on the engine. */
const numRuns = isPage ? 30 : 300;

const numbers = fc.array(fc.nat(5039), { minLength: 200, maxLength: 400 });
const keys = ["a", "b", "c"];

async function check(numbers: readonly number[], linger: number): Promise<void> {
	const script = new Script(numbers);
	const clock = new VirtualClock();
	const running = new Map<string, number>();
	const controllers: SpiedController[] = [];
	let listeners: Listener[] = [];
	let unstopped = 0;
	/** Violations are recorded, because an error in a callback would count as a failure of the operation. */
	const faults: string[] = [];
	const law = (text: string, holds: boolean) => void (holds || faults.push(text));

	const attach = (key: string) => {
		const listener: Listener = { key, controller: new SpiedController(), state: "waiting" };
		listeners.push(listener);
		controllers.push(listener.controller);
		map.attach(key, listener.controller.signal).then(() => listener.state = "listening", () => {
			listener.state = "refused";
			listeners = listeners.filter((other) => other !== listener);
		}).then(() => act());
	};
	const leave = (index: number) => {
		const [listener] = index < 0 ? [] : listeners.splice(index, 1);
		listener?.controller.abort("enough");
		law("no listener stays on an aborted signal", listener === undefined || listener.controller.listeners === 0);
	};
	const look = () => {
		const snapshot = map.getSnapshot();
		law("the size is that of the snapshot", snapshot.size === map.size);
		for (const key of keys) {
			const { state, listeners } = map.get(key);
			const shown = snapshot.get(key);
			law(`${key} is shown as it is`, shown === undefined || (shown.state === state && shown.listeners === listeners));
			law(`${key} is shown unless it is idle`, shown !== undefined || (state === "idle" && listeners === 0));
			law(`${key} runs if it says so`, state !== "running" || running.get(key) === 1);
			law(`${key} does not run if it is idle`, state !== "idle" || !running.get(key));
		}
	};
	/** Does nothing when the script has ended. */
	const act = () => {
		look();
		const action = script.below(12);
		const key = keys[script.below(3)]!;
		if (action === 1) attach(key);
		else if (action === 2) leave(script.below(listeners.length + 1));
		else if (action === 3) leaveAll(key);
		else if (action === 4 && script.below(3) === 0) stopAll();
	};
	const stopAll = () => {
		listeners = [];
		unstopped++;
		map.stop({ reason: "stop" }).then(() => unstopped--);
	};
	const leaveAll = (key: string) => {
		for (const listener of [...listeners]) if (listener.key === key) leave(listeners.indexOf(listener));
	};

	const end = (key: string) => {
		running.set(key, 0);
		act();
	};
	const stop = async (key: string) => {
		act();
		await sleep(script.below(4), { clock });
		end(key);
		if (script.below(5) === 0) throw new Error("no stop");
	};
	const start = async (key: string, signal: AbortSignal) => {
		law(`one operation of ${key} at a time`, !running.get(key));
		running.set(key, 1);
		signal.addEventListener("abort", act);
		act();
		if (script.below(3) > 0) await sleep(script.below(4), { clock });
		act();
		if (script.below(4) < 3) return () => script.below(3) < 2 ? end(key) : stop(key);
		end(key);
		throw new Error("no start");
	};
	const map = new IntermittentMap(start, { linger, clock, onError: act });
	map.subscribe(() => {
		// A subscriber that learns that a key is idle attaches to it again.
		const idle = keys.filter((key) => map.get(key).state === "idle");
		if (!script.isOver && script.below(3) > 0) attach(idle[script.below(3)] ?? "a");
		act();
	});
	map.subscribe(() => look());

	for (let i = 0; i < 12; i++) {
		attach(keys[script.below(3)]!);
		await clock.advance(script.below(8));
		leaveAll(keys[script.below(3)]!);
		act();
	}
	await clock.runUntilIdle();
	look();
	for (const key of keys) {
		const attached = listeners.filter((listener) => listener.key === key);
		const state = attached.length > 0 ? "running" : "idle";
		expect([key, map.get(key)]).toEqual([key, { state, listeners: attached.length }]);
		expect(attached.filter(({ state }) => state !== "listening")).toEqual([]);
	}
	while (!script.isOver) script.below(1); // uses up the script, so that further callbacks do nothing
	while (listeners.length > 0) leave(0);
	await clock.runUntilIdle();
	while (listeners.length > 0) leave(0);
	await clock.runUntilIdle();
	expect([[...new Set(faults)], unstopped]).toEqual([[], 0]);
	expect([map.size, map.getSnapshot().size, clock.pending, [...running.values()].filter((count) => count > 0).length])
		.toEqual([0, 0, 0, 0]);
	expect(controllers.filter(({ listeners }) => listeners > 0)).toEqual([]);
}

describe("IntermittentMap", () => {
	test("called back by each of its callbacks runs one operation of a key at a time, and shows what is so", async () => {
		await fc.assert(fc.asyncProperty(numbers, fc.constantFrom(0, 3), check), { numRuns });
	});
});
