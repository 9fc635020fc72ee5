import { describe, expect, test } from "vitest";
import { memoryStore, type Store, type StoreErrorCode } from "../../../mod.ts";
import { withFallback } from "../../../src/stores/indexeddb/indexeddb.ts";

/** What the other build of the library throws: the same members, but another class. */
class StoreError extends Error {
	override readonly name = "StoreError";
	readonly isTransient = true;
	readonly code: StoreErrorCode;

	constructor(code: StoreErrorCode) {
		super(code);
		this.code = code;
	}
}

function refusing(error: unknown): Store<never> {
	return { ...memoryStore(), open: () => Promise.reject(error) };
}

describe("withFallback() over a store whose open() rejects", () => {
	for (const code of ["unavailable", "full"] as const) {
		test(`uses the fallback for the code "${code}" of another build`, async () => {
			const error = new StoreError(code);
			const reasons: unknown[] = [];
			const store = withFallback(refusing(error), memoryStore(), { onFallback: (reason) => void reasons.push(reason) });
			await store.open();
			expect(reasons).toEqual([error]);
			await store.add("b", [{ id: "a", kind: "k", payload: "1", delay: 0, priority: 0 }]);
			expect((await store.get("b", "a"))?.state).toBe("waiting");
		});
	}

	for (const error of [new StoreError("refused"), new Error("full"), null, undefined, "full"]) {
		test(`passes other errors on: ${String(error)}`, async () => {
			const store = withFallback(refusing(error), memoryStore());
			const reason = await store.open().then(() => "opened", (reason) => reason);
			expect(reason).toBe(error);
		});
	}
});
