import { describe, expect, test } from "vitest";
import { StoreError } from "../../mod.ts";
import { Resource } from "../../src/platform/resource.ts";
import { deferred, errorOf, settle } from "../support.ts";

interface Made {
	readonly resource: Resource<object>;
	/** The log of operations, in order. */
	readonly log: string[];
}

/** @param open opens the resource or fails. Its argument is the number of the call */
function make(open: (call: number) => object | Promise<object>): Made {
	const log: string[] = [];
	let calls = 0;
	const resource = new Resource<object>(undefined, {
		open() {
			log.push("open");
			return open(++calls);
		},
		use(value) {
			log.push("use");
			if ("wrong" in value) throw new TypeError("It is wrong");
		},
		explain: (cause) => new StoreError("unavailable", "It failed", { cause }),
		end: () => void log.push("end"),
	});
	return { resource, log };
}

describe("Resource", () => {
	test.each([["at once", (value: object) => value], ["later", (value: object) => settle().then(() => value)]] as const)(
		"open() calls the function once, however many wait, and value is what it has opened: %s",
		async (_when, give) => {
			const value = {};
			const { resource, log } = make(() => give(value));
			expect(log).toEqual([]);
			expect(await Promise.all([resource.open(), resource.open()])).toEqual([value, value]);
			expect(await resource.open()).toBe(value);
			expect(resource.value).toBe(value);
			expect(log).toEqual(["open", "use"]);
		},
	);

	test.each(
		[
			["throws", () => {
				throw new Error("no");
			}],
			["rejects", () => Promise.reject(new Error("no"))],
		] as const,
	)("open() of a function that %s fails for all who wait, and the next one calls it again", async (_how, fail) => {
		const { resource, log } = make((call) => call === 1 ? fail() : {});
		const errors = await Promise.all([errorOf(resource.open()), errorOf(resource.open())]);
		for (const error of errors) expect(error).toMatchObject({ name: "StoreError", cause: { message: "no" } });
		await resource.open();
		expect(log).toEqual(["open", "open", "use"]);
	});

	test("open() that is called back by the function is the same one", async () => {
		let inner: Promise<object> | undefined;
		const { resource, log } = make(() => {
			inner = resource.open();
			return {};
		});
		expect(await resource.open()).toBe(await inner);
		expect(log).toEqual(["open", "use"]);
	});

	test("open() rejects with the error of what was opened and is of no use, and the next one calls the function again", async () => {
		const { resource, log } = make((call) => call === 1 ? { wrong: true } : {});
		expect(await errorOf(resource.open())).toBeInstanceOf(TypeError);
		expect(() => resource.value).toThrow(StoreError);
		await resource.open();
		expect(log).toEqual(["open", "use", "open", "use"]);
	});

	test("value throws a StoreError before open() and after close(), and open() is refused then", async () => {
		const { resource } = make(() => ({}));
		const codeOf = () => {
			try {
				return resource.value;
			} catch (error) {
				return (error as StoreError).code;
			}
		};
		expect(codeOf()).toBe("not-open");
		await resource.open();
		const closing = resource.close();
		expect(codeOf()).toBe("closed");
		await closing;
		expect(await errorOf(resource.open())).toMatchObject({ name: "StoreError", code: "closed" });
	});

	test("close() closes once what the function has opened, also if it is still at it", async () => {
		const gate = deferred();
		const { resource, log } = make(() => gate.promise.then(() => ({})));
		const opening = resource.open();
		const closing = Promise.all([resource.close(), resource.close()]);
		await settle();
		expect(log).toEqual(["open"]);
		gate.resolve();
		await Promise.all([opening, closing]);
		await resource.close();
		expect(log).toEqual(["open", "use", "end"]);
	});

	test("close() of what was never opened, or could not be, has nothing to close", async () => {
		const never = make(() => ({}));
		await never.resource.close();
		const failed = make(() => Promise.reject(new Error("no")));
		const opening = errorOf(failed.resource.open());
		await failed.resource.close();
		await opening;
		expect([never.log, failed.log]).toEqual([[], ["open"]]);
	});

	test("close() leaves alone what was given open", async () => {
		const value = {};
		const resource = new Resource(value);
		await resource.close();
		expect([resource.value, await resource.open()]).toEqual([value, value]);
	});
});
