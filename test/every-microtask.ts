// Tries an action at each microtask, which finds an event that is one microtask too early or too late. For example:
//
//     await atEachMicrotask(30, async (k) => {
//     	const controller = new SpiedController();
//     	const done = run(() => {
//     		afterMicrotasks(k, () => controller.abort("enough"));
//     		return "value";
//     	}, { signal: controller.signal });
//     	expect(await done).toBe("value");
//     	expect(controller.listeners).toBe(0);
//     });
//
// Tests of "abort, then settle" and of "settle, then abort" cover both sides of a settlement.

/**
 * Runs the trial for each k from 0 to `count - 1`, one after the other; with a `stride` of 3, for each third one. An error
 * names the k of the failed trial.
 */
export async function atEachMicrotask(count: number, trial: (k: number) => unknown, stride: number = 1): Promise<void> {
	const failed: number[] = [];
	let first: unknown;
	for (let k = 0; k < count; k += stride) {
		try {
			await trial(k);
		} catch (error) {
			if (failed.push(k) === 1) first = error;
		}
	}
	if (failed.length === 0) return;
	const text = first instanceof Error ? first.message : String(first);
	throw new Error(`With ${failed.join(", ")} microtasks between: ${text}`, { cause: first });
}

/** Calls `action` after k microtasks; immediately if k is 0. */
export function afterMicrotasks(k: number, action: () => void): void {
	if (k === 0) action();
	else queueMicrotask(() => afterMicrotasks(k - 1, action));
}
