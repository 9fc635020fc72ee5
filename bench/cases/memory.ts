// The heap that a waiting task retains after a forced garbage collection. Each task of a Group has a name of its own
// (`t0`, `t1`, …), which counts. All tasks share the function and its error, so these do not count. Bun keeps a part
// of each setTimeout outside the heap, which is not measured.
import process from "node:process";
import { Group } from "upkeep";
import { expect, parameters, report } from "../measure.ts";

declare const gc: (() => void) | undefined;
declare const Bun: { gc(force: boolean): void } | undefined;

const count = 100_000;
const hour = 3_600_000;
const error = new Error("down");

const fills: Record<string, (count: number) => unknown> = {
	"bare setTimeout": (count: number) => repeated(count, () => setTimeout(doNothing, hour)),
	"awaited setTimeout": (count: number) => repeated(count, () => sleepAnHour()),
	"Group task": spawnTasks,
};

const fill = fills[parameters().get("case")!]!;
const warmUp: unknown = await fill(1_000);
const before: number = await usedHeap();
const kept: unknown = await fill(count);
await report((await usedHeap() - before) / count);
expect(warmUp === kept, false); // keeps both alive until here
process.exit();

function doNothing(): void {}

function repeated(count: number, make: () => unknown): unknown {
	return Array.from({ length: count }, make);
}

/** The minimum that a hand-written retry retains while it waits. */
async function sleepAnHour(): Promise<void> {
	await new Promise((resolve) => setTimeout(resolve, hour));
}

async function spawnTasks(count: number): Promise<Group> {
	const group = new Group({ attempts: 2, backoff: hour });
	const task = (): never => {
		throw error;
	};
	for (let i = 0; i < count; i++) group.spawn("t" + i, task);
	while (group.get("t" + (count - 1))!.state !== "delay") await macrotask();
	return group;
}

/**
 * Collects more than once, because a value that a finalizer or a weak reference releases is only freed by the next
 * collection.
 */
async function usedHeap(): Promise<number> {
	for (let i = 0; i < 4; i++) {
		if (typeof Bun === "object") Bun.gc(true);
		else gc!();
		await macrotask();
	}
	return process.memoryUsage().heapUsed;
}

function macrotask(): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, 1));
}
