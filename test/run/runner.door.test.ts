// Argument checks of run, Runner, sleep and Group. An error must name each invalid argument.
import { describe, expect, test } from "vitest";
import { Group, retryAfter, run, Runner, sleep } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { settle } from "../support.ts";

/** Values of all kinds, none of which is a valid name, tag or callback. */
const oddities: readonly unknown[] = [
	null,
	true,
	-1,
	-0.5,
	NaN,
	-Infinity,
	"text",
	Symbol("symbol"),
	10n,
	{},
	[],
	Object.create(null),
	new Proxy({}, {}),
	{ valueOf: () => 5 },
	{ [Symbol.toPrimitive]: () => Symbol("no number") },
	{ aborted: false },
	{ set() {} },
	new Date(NaN),
];

const task = () => 1;

/** The options or arguments of each function. A valid oddity is not refused. */
const doors: Record<string, readonly [call: (name: string, odd: unknown) => unknown, names: readonly string[]]> = {
	"run()": [
		(name, odd) => run(task, { [name]: odd }),
		["signal", "attempts", "backoff", "timeout", "deadline", "abandonAfter", "shouldRetry", "onAttemptFailed", "clock"],
	],
	"run() backoff": [
		(name, odd) => run(task, { backoff: { start: 1, [name.slice(8)]: odd } }),
		["backoff.start", "backoff.max", "backoff.factor", "backoff.jitter", "backoff.random"],
	],
	"run() arguments": [
		(name, odd) => run(...(name === "task" ? [odd] : [task, odd]) as Parameters<typeof run>),
		["task", "options"],
	],
	"new Runner()": [
		(name, odd) => new Runner(task, { [name]: odd }),
		["attempts", "backoff", "timeout", "deadline", "unref", "clock"],
	],
	"Runner.step()": [
		(name, odd) => new Runner(task).step((name === "options" ? odd : { signal: odd }) as never),
		["options", "signal"],
	],
	"Runner.subscribe()": [(_name, odd) => new Runner(task).subscribe(odd as never), ["listener"]],
	"sleep()": [
		(name, odd) =>
			name === "delay"
				? sleep(odd as never)
				: sleep(0, (name === "options" ? odd : { clock: new VirtualClock(), [name]: odd }) as never),
		["delay", "options", "signal", "unref", "clock"],
	],
	"retryAfter()": [(_name, odd) => retryAfter(odd as never), ["delay"]],
	"new Group()": [
		(name, odd) => new Group((name === "options" ? odd : { [name]: odd }) as never),
		["options", "signal", "forget", "onError", "attempts"],
	],
	"Group.spawn()": [
		(name, odd) =>
			name === "task"
				? new Group().spawn("a", odd as never)
				: new Group().spawn("a", task, (name === "options" ? odd : { [name]: odd }) as never),
		["task", "options", "signal", "ifPresent", "timeout"],
	],
	"Group.wait()": [
		(name, odd) => new Group().wait((name === "options" ? odd : { signal: odd }) as never),
		["options", "signal"],
	],
	"GroupTask.wait()": [
		(name, odd) => new Group().spawn("a", task).wait((name === "options" ? odd : { signal: odd }) as never),
		["options", "signal"],
	],
	"Group.subscribe()": [(_name, odd) => new Group().subscribe(odd as never), ["listener"]],
};

/** Whether an odd value is valid. */
const isTaken = (name: string, odd: unknown): boolean => {
	const isObject = typeof odd === "object" && odd !== null;
	if (name === "options") return isObject; // none of these objects has a known option
	if (name === "unref" || name === "forget") return odd === true;
	return false;
};

describe.each(Object.entries(doors))("%s", (title, [call, names]) => {
	test.each(names)("refuses what %s cannot be, and says so", async (name) => {
		for (const odd of oddities) {
			if (isTaken(name, odd)) continue;
			let error: unknown;
			try {
				// Constructors and synchronous methods throw; asynchronous functions reject.
				const result = call(name, odd);
				expect(typeof (result as Promise<unknown> | undefined)?.then).toBe("function");
				await result;
			} catch (thrown) {
				error = thrown;
			}
			const shown = `${title} with ${name}: ${typeof odd} ${
				typeof odd === "object" ? JSON.stringify(odd) : String(odd)
			}`;
			expect([shown, error instanceof TypeError || error instanceof RangeError]).toEqual([shown, true]);
			expect((error as Error).message).toContain(`"${name}`);
		}
		await settle();
	});
});
