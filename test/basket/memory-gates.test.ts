// What the memory store keeps of limits.
import { expect, test } from "vitest";
import { MemoryTasks } from "../../src/basket/memory-tasks.ts";
import { isNode } from "../support.ts";

const limits = [{ kind: "work", atOnce: 2, spacing: 60_000, burst: 1 }];
const claim = [{ kinds: ["work"], limit: 1_000 }];

function makeTasks(): MemoryTasks {
	let last = 0;
	return new MemoryTasks(() => ++last);
}

function add(all: MemoryTasks, key: string): void {
	all.add({ kind: "work", payload: "", delay: 0, priority: 0, limitKey: key });
}

test("MemoryTasks.turn() keeps nothing of keys without tasks whose starts no longer matter", () => {
	const all = makeTasks();
	const count = isNode ? 100_000 : 10_000;
	for (let index = 0; index < count; index++) add(all, `key ${index}`);
	let settle: Parameters<MemoryTasks["turn"]>[0]["settle"] = [];
	let ended = 0;
	do {
		const { claims } = all.turn({ settle, claim, limits, lease: 30_000 });
		ended += settle.length;
		settle = claims.map((ref) => ({ ref, outcome: { type: "done" } }));
	} while (settle.length > 0);
	expect(ended).toBe(count);
	expect(all.isUnused).toBe(false);
	all.now += 59_999;
	all.turn({ settle: [], claim: [], lease: 30_000 });
	expect(all.isUnused).toBe(false);
	all.now += 1;
	all.turn({ settle: [], claim: [], lease: 30_000 });
	expect(all.isUnused).toBe(true);
});

test("MemoryTasks.turn() keeps nothing of a key that was shut, is open again and has no tasks", () => {
	const all = makeTasks();
	add(all, "a");
	const { claims: [ref] } = all.turn({ settle: [], claim, lease: 30_000 });
	const outcome = { type: "retry", delay: 5_000, attempts: 1, error: "x", isKeyShut: true } as const;
	all.turn({ settle: [{ ref: ref!, outcome }], claim: [], lease: 30_000 });
	all.delete(ref!.id);
	expect(all.isUnused).toBe(false);
	all.now += 5_000;
	all.turn({ settle: [], claim: [], lease: 30_000 });
	expect(all.isUnused).toBe(true);
});
