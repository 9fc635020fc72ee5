// deno-lint-ignore-file require-yield -- a work that only writes asks nothing
/**
 * The tests that every `RecordSpace` must pass.
 *
 * @module
 */

import { check } from "../platform/check.ts";
import type { Key, Range, RecordSpace } from "../records/records.ts";
import { get, keys, keysOf, names, orders, others, put, range, read, type Row, rows, work } from "./space-rows.ts";
import { equal, fail, rejects } from "./store-suite/assert.ts";
import { globalTest } from "./store-suite/global-test.ts";

/** A space and its environment. Each test opens one and closes it at its end. */
export interface SpaceFixture<Tx = never> {
	/** An empty space. The suite opens it. */
	readonly space: RecordSpace<Tx>;
	/** Releases all resources. */
	close(): unknown;
}

/** Options for {@link testRecordSpace}. */
export interface SpaceSuiteOptions {
	/** Registers a test. @default the global `test` or `it`, or `Deno.test` */
	test?: ((title: string, body: () => Promise<void>) => unknown) | undefined;
}

/**
 * Registers the tests that every `RecordSpace` must pass: they cover what `recordStore` relies on. Run it before
 * `testStore`, which finds the same faults, but reports them less precisely.
 *
 * @param name the name of the space in the titles
 * @param open creates a space without rows, on a separate database
 * @param options the function that registers tests
 * @throws {TypeError} if there is no test function, or an argument is of the wrong type
 *
 * @example
 * ```ts
 * import { memoryStore } from "upkeep";
 * import { overMap } from "upkeep/store";
 * import { testRecordSpace } from "upkeep/testing";
 *
 * const tests: Promise<void>[] = [];
 * testRecordSpace("a map", async () => {
 * 	const entries = new Map<string, unknown>();
 * 	const inOrder = () => [...entries].sort(([a], [b]) => a < b ? -1 : 1);
 * 	const space = overMap({
 * 		capabilities: memoryStore().capabilities,
 * 		async open() {},
 * 		async transaction(work) {
 * 			const before = [...entries];
 * 			try {
 * 				return await work({
 * 					get: (keys) => keys.map((key) => entries.get(key)),
 * 					list({ start, end, limit, reverse }) {
 * 						const found = inOrder().filter(([key]) => key >= start && key < end);
 * 						return (reverse ? found.reverse() : found).slice(0, limit);
 * 					},
 * 					set: (key, value) => void entries.set(key, value),
 * 					delete: (key) => void entries.delete(key),
 * 				}, 0);
 * 			} catch (error) {
 * 				entries.clear();
 * 				for (const [key, value] of before) entries.set(key, value);
 * 				throw error;
 * 			}
 * 		},
 * 	});
 * 	return { space, close() {} };
 * }, { test: (_title, body) => tests.push(body()) });
 * await Promise.all(tests);
 * ```
 */
export function testRecordSpace<Tx>(
	name: string,
	open: () => Promise<SpaceFixture<Tx>>,
	options: SpaceSuiteOptions = {},
): void {
	check("name", name, "string");
	check("open", open, "function");
	const test = check("test", check("options", options, "object").test ?? globalTest()!, "function");
	for (const { title, run } of tests()) {
		test(`${name} ${title}`, async () => {
			const fixture = await open();
			try {
				await fixture.space.open();
				await run(fixture.space as unknown as RecordSpace);
			} finally {
				await fixture.close();
			}
		});
	}
}

interface SpaceTest {
	readonly title: string;
	readonly run: (space: RecordSpace) => Promise<void>;
}

/** A function, because bundlers treat the construction of a list as a side effect. */
function tests(): SpaceTest[] {
	return [
		{
			title: "may be opened again, and loses nothing",
			async run(space) {
				await put(space, { key: [1], value: "kept" });
				await space.open();
				equal(await get(space, [1]), ["kept"], "what was there");
			},
		},
		{
			title: "gives back what was put: numbers, booleans, texts, bytes, lists and objects",
			async run(space) {
				const value = {
					numbers: [0, -1, 0.1, 1e300, 2 ** 53],
					flags: [true, false],
					texts: ["", "text", "語😀", "a\0b"],
					bytes: new Uint8Array([0, 1, 255]),
					nested: { list: [[1], { two: 2 }] },
				};
				await put(space, { key: ["a"], value });
				equal(await get(space, ["a"]), [value], "the value");
			},
		},
		{
			title: "shows a transaction what it has written itself, by key, by index, in ranges and counted",
			async run(space) {
				await put(space, { key: [1], mark: "old", unique: "one" }, ...[2, 4].map((n) => ({ key: [n], mark: "old" })));
				const seen = await work(space, function* (tx) {
					const [[first, second, last]] = (yield [read([[1], [2], [4]])]) as [Row[]];
					tx.put(rows, { key: [1], mark: "new", unique: "uno" }, first);
					for (const row of [second!, last!]) tx.remove(rows, row);
					for (const key of [[3], [4]]) tx.put(rows, { key, mark: "new" });
					const [byKey, byUnique, old, fresh, count] = yield [
						read([[1], [2], [3], [4]]),
						read([["one"], ["uno"]], "unique"),
						range("mark", { prefix: ["old"] }),
						range("mark", { prefix: ["new"] }),
						{ type: "count", table: rows, prefix: [] },
					];
					return [keysOf(byKey), keysOf(byUnique), keysOf(old), keysOf(fresh), count];
				});
				equal(seen, [["1", "", "3", "4"], ["", "1"], [], ["1", "3", "4"], 3], "within");
				for (const [index, prefix] of [["mark", ["new"]], ["mark", []], [undefined, []]] as const) {
					equal(await keys(space, index, { prefix }), ["1", "3", "4"], "afterwards");
				}
			},
		},
		{
			title: "undoes everything when a work throws, and hands its error on",
			async run(space) {
				await put(space, { key: [1], value: "before", mark: "m", unique: "u" });
				const failure = new Error("of the work");
				let woken = 0;
				const stop = space.watch?.("basket", () => woken++, () => {});
				const doing = work(space, function* (tx) {
					const [[row]] = (yield [read([[1]])]) as [Row[]];
					tx.put(rows, { key: [1], value: "after", mark: "n" }, row);
					tx.put(rows, { key: [2] });
					tx.wake();
					yield [read([[2]])];
					throw failure;
				});
				equal(await doing.catch((error) => error === failure), true, "whether it is the same error");
				equal(await get(space, [1], [2]), ["before", undefined], "rows");
				equal(await keys(space, "mark", { prefix: [] }), ["1"], "index");
				stop?.();
				equal(woken, 0, "how often those who watch were called");
			},
		},
		{
			title: "has numbers in their order, and tells all texts apart",
			async run(space) {
				const numbers = [
					-1e300,
					-2.5,
					-2,
					-1,
					-1e-9,
					0,
					5e-324,
					1e-9,
					0.5,
					1,
					1.5,
					2,
					10,
					35,
					36,
					1e15,
					2 ** 53,
					1e300,
				];
				await put(space, ...numbers.map((number) => ({ key: ["n", number] })).reverse());
				await put(space, ...names.map((name) => ({ key: ["t", name], value: name })));
				equal(await keys(space, undefined, { prefix: ["n"] }), numbers.map((number) => `n,${number}`), "numbers");
				const found = (await keys(space, undefined, { prefix: ["t"] })).length;
				equal(found, names.length, "how many texts there are");
				equal(await get(space, ...names.map((name) => ["t", name])), names, "values by text");
				for (const name of names) {
					equal(
						await keys(space, undefined, { prefix: ["t", name] }),
						[`t,${name}`],
						`those that begin with ${JSON.stringify(name)}`,
					);
				}
			},
		},
		{
			title: "has texts in the order of their code units, or of their code points",
			async run(space) {
				// Lone surrogates may be anywhere.
				const texts = names.filter((name) => !/[\ud800-\udfff]/u.test(name));
				await put(space, ...texts.map((name) => ({ key: ["t", name], mark: name, value: name })));
				const found = (await keys(space, "mark", { prefix: [] })).map((key) => key.slice(2));
				const isOrdered = orders(texts).some((sorted) => JSON.stringify(sorted) === JSON.stringify(found));
				equal(isOrdered, true, `whether ${JSON.stringify(found)} is in order`);
				const part = await keys(space, "mark", { prefix: [], above: ["a"], upTo: ["b"] });
				const wanted = found.slice(found.indexOf("a") + 1, found.indexOf("b") + 1).map((name) => `t,${name}`);
				equal(part, wanted, "texts from a to b");
			},
		},
		{
			title: "gives the part of a range that was asked for",
			async run(space) {
				const all = [["a"], ["a", 1], ["a", 1, "x"], ["a", 2], ["a", 3], ["a", 3, "x"], ["b", 1]] as const;
				await put(space, ...all.map((key) => ({ key, mark: "m" })));
				for (const [index, lead] of [[undefined, []], ["mark", ["m"]]] as const) {
					const part = (bounds: Omit<Range, "type" | "table" | "limit">, limit?: number) => {
						const { prefix, above, upTo } = bounds;
						return keys(space, index, {
							...bounds,
							prefix: [...lead, ...prefix],
							above: above && [...lead, ...above],
							upTo: upTo && [...lead, ...upTo],
							...(limit !== undefined && { limit }),
						});
					};
					const within = ["a,1", "a,1,x", "a,2", "a,3", "a,3,x"];
					equal((await part({ prefix: ["a"] })).filter((key) => key !== "a"), within, "by prefix");
					equal(
						await part({ prefix: ["a"], above: ["a", 1] }),
						within.slice(2),
						"above, without those that begin with it",
					);
					equal(await part({ prefix: ["a"], above: ["a", 2.5] }), within.slice(3), "above what is not there");
					equal(
						await part({ prefix: ["a", 1], upTo: ["a", 1] }),
						within.slice(0, 2),
						"up to, with those that begin with it",
					);
					equal(await part({ prefix: ["a"], above: ["a", 1], upTo: ["a", 3] }), within.slice(2), "between");
					equal(await part({ prefix: ["a"], above: ["a", 1] }, 2), within.slice(2, 4), "limited");
					equal(await part({ prefix: ["a"], reverse: true }, 2), ["a,3,x", "a,3"], "from the end");
					equal(
						await part({ prefix: ["a"], upTo: ["a", 2], reverse: true }, 2),
						["a,2", "a,1,x"],
						"from a bound backwards",
					);
					equal(await part({ prefix: ["c"] }), [], "of nothing");
				}
			},
		},
		{
			title: "keeps a row in exactly those indexes that have a key of it",
			async run(space) {
				await put(space, { key: [1], mark: 1 });
				for (const mark of [2, undefined, 3]) {
					await work(space, function* (tx) {
						const [[row]] = (yield [read([[1]])]) as [Row[]];
						tx.put(rows, { key: [1], mark }, row);
					});
					const [found, counted] = await work(space, function* () {
						const [found, counted] = yield [range("mark", { prefix: [] }), {
							type: "count",
							table: rows,
							index: "mark",
							prefix: [],
						}];
						return [keysOf(found), counted];
					});
					equal([found, counted], mark === undefined ? [[], 0] : [["1"], 1], `by mark ${mark}`);
				}
				await work(space, function* (tx) {
					const [[row]] = (yield [read([[1]])]) as [Row[]];
					tx.remove(rows, row!);
				});
				equal(await keys(space, "mark", { prefix: [] }), [], "after the row was removed");
			},
		},
		{
			title: "keeps baskets, tables and their indexes apart",
			async run(space) {
				for (const basket of names) {
					await work(space, function* (tx) {
						tx.put(rows, { key: ["k"], value: basket, mark: "m" });
						tx.put(others, { key: ["k"], value: `other ${basket}` });
					}, basket);
				}
				for (const basket of names) {
					const seen = await work(space, function* (tx) {
						const [row, other, marked] = yield [
							read([["k"]]),
							{ type: "get", table: others, keys: [["k"]] },
							range("mark", { prefix: [] }),
						];
						tx.clear?.(others, ["k"]);
						return [row, other, marked].map((found) => (found as Row[]).map(({ value }) => value));
					}, basket);
					equal(seen, [[basket], [`other ${basket}`], [basket]], `in the basket ${JSON.stringify(basket)}`);
				}
			},
		},
		{
			title: "lets no two transactions change a row on the ground of the same reading",
			async run(space) {
				await put(space, { key: ["sum"], value: 0 });
				const add = () =>
					work(space, function* (tx) {
						const [[row]] = (yield [read([["sum"]])]) as [Row[]];
						tx.put(rows, { key: ["sum"], value: row!.value as number + 1 }, row);
					});
				await Promise.all(Array.from({ length: 10 }, add));
				equal(await get(space, ["sum"]), [10], "sum");
			},
		},
		{
			title: "lets no two transactions put the same new key, neither of a row nor of a unique index",
			async run(space) {
				const claim = (index: number, key: Key, unique?: string) =>
					work(space, function* (tx) {
						const [[row], [owner]] = (yield [read([key]), read(unique === undefined ? [] : [[unique]], "unique")]) as [
							Row[],
							Row[],
						];
						if (row !== undefined || owner !== undefined) return false;
						tx.put(rows, { key, value: index, unique });
						return true;
					});
				const indexes = Array.from({ length: 5 }, (_, index) => index);
				const same = await Promise.all(indexes.map((index) => claim(index, ["same"])));
				equal(same.filter(Boolean).length, 1, "how many had the key");
				const unique = await Promise.all(indexes.map((index) => claim(index, ["own", index], "unique")));
				equal(unique.filter(Boolean).length, 1, "how many had the unique key");
			},
		},
		{
			title: "lets a transaction depend on a row that it does not write",
			async run(space) {
				await put(space, { key: ["a"], value: "open" }, { key: ["b"], value: "open" });
				// Each one closes the other, if it is open itself.
				const close = (own: string, other: string) =>
					work(space, function* (tx) {
						const [[mine, theirs]] = (yield [read([[own], [other]])]) as [Row[]];
						if (mine!.value !== "open") return;
						tx.guard?.(rows, [own]);
						tx.put(rows, { key: [other], value: "closed" }, theirs);
					});
				await Promise.all([close("a", "b"), close("b", "a")]);
				equal((await get(space, ["a"], ["b"])).sort(), ["closed", "open"], "the two");
			},
		},
		{
			title: "wakes those who watch a basket when it is committed, with the reason",
			async run(space) {
				if (space.watch === undefined) return;
				const heard: unknown[] = [];
				const stop = space.watch("basket", (reason) => heard.push(reason), (error) => heard.push(error));
				const reasons = [undefined, "claims"] as const;
				for (const reason of reasons) {
					const before = heard.length;
					await work(space, function* (tx) {
						tx.put(rows, { key: [String(reason)] });
						tx.wake(reason);
					});
					for (let round = 0; heard.length === before || (reason !== undefined && heard.at(-1) !== reason); round++) {
						if (round === 500) fail(`Nobody was called for the reason "${reason}": ${heard}`);
						await new Promise((resolve) => setTimeout(resolve, 5));
					}
				}
				stop();
			},
		},
		{
			title: "refuses what throws at once in the same way as what throws later",
			async run(space) {
				await rejects(
					work(space, function* () {
						throw new RangeError("at once");
					}),
					"a work that throws at once",
				);
			},
		},
	];
}
