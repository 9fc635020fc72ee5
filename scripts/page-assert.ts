// The part of node:assert/strict that the examples use, for examples that run in a browser.

function assert(value: unknown, message = `${value} is not true`): asserts value {
	if (!value) throw new Error(message);
}

function equal(actual: unknown, expected: unknown): void {
	assert(Object.is(actual, expected), `${String(actual)} is not ${String(expected)}`);
}

function deepEqual(actual: unknown, expected: unknown): void {
	equal(JSON.stringify(actual), JSON.stringify(expected));
}

async function rejects(promise: Promise<unknown>): Promise<void> {
	await promise.then(() => assert(false, "the promise was not rejected"), () => {});
}

export default Object.assign(assert, { ok: assert, equal, deepEqual, rejects });
