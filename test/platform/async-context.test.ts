import { describe, expect, test } from "vitest";
import { inContext, inContextAlways } from "../../src/platform/async-context.ts";
import { settle } from "../support.ts";

// For tests of the context itself, see test/runtimes/server/async-context.test.ts.

describe("inContext()", () => {
	test("calls back once, a microtask after its first call", async () => {
		let calls = 0;
		const call = inContext(() => void calls++);
		await settle();
		call();
		call();
		expect(calls).toBe(0);
		await Promise.resolve();
		expect(calls).toBe(1);
		call();
		await settle();
		expect(calls).toBe(1);
	});
});

describe("inContextAlways()", () => {
	test("calls back for each call, but once for those that come before the callback has run", async () => {
		let calls = 0;
		const call = inContextAlways(() => {
			if (++calls === 1) call();
		});
		call();
		call();
		expect(calls).toBe(0);
		await settle();
		expect(calls).toBe(2);
		call();
		await settle();
		expect(calls).toBe(3);
	});
});
