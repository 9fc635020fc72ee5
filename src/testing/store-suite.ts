/**
 * The tests that every store must pass.
 *
 * @module
 */

import { check } from "../platform/check.ts";
import { adding } from "./store-suite/adding.ts";
import { equal, rejects } from "./store-suite/assert.ts";
import { Bench, type StoreFixture, type StoreLack, type StoreTest } from "./store-suite/bench.ts";
import { changing } from "./store-suite/changing.ts";
import { children } from "./store-suite/children.ts";
import { claiming } from "./store-suite/claiming.ts";
import { collecting } from "./store-suite/collecting.ts";
import { expiring } from "./store-suite/expiring.ts";
import { familyModelTest } from "./store-suite/family-model.ts";
import { history } from "./store-suite/history.ts";
import { globalTest } from "./store-suite/global-test.ts";
import { inbox } from "./store-suite/inbox.ts";
import { joining } from "./store-suite/joining.ts";
import { lanes } from "./store-suite/lanes.ts";
import { limitKeys } from "./store-suite/limit-keys.ts";
import { limiting } from "./store-suite/limiting.ts";
import { laneRuns } from "./store-suite/lane-runs.ts";
import { logging } from "./store-suite/logging.ts";
import { looking } from "./store-suite/looking.ts";
import { modelTest } from "./store-suite/model.ts";
import { overall } from "./store-suite/overall.ts";
import { pausing } from "./store-suite/pausing.ts";
import { restarting } from "./store-suite/restarting.ts";
import { replacing } from "./store-suite/replacing.ts";
import { settling } from "./store-suite/settling.ts";
import { spacing } from "./store-suite/spacing.ts";
import { transactions } from "./store-suite/transactions.ts";
import { watching } from "./store-suite/watching.ts";

export type { StoreFixture, StoreLack } from "./store-suite/bench.ts";

/** Options for {@link testStore}. */
export interface StoreSuiteOptions {
	/** Registers a test. @default the global `test` or `it`, or `Deno.test` */
	test?: ((title: string, body: () => Promise<void>) => unknown) | undefined;
	/**
	 * The abilities that the store lacks, so that their tests are skipped: `"tx"` and `"shared"` as in its
	 * capabilities, `"watch"` if it has no such member. A separate test verifies this, and its title names the skipped
	 * abilities. @default none
	 */
	without?: readonly StoreLack[] | undefined;
	/** The seed of the random test, a whole number. A failure prints it. @default a new one each time */
	seed?: number | undefined;
}

/**
 * Registers the tests that every `Store` must pass: one for each promise of its documentation.
 *
 * Each test opens and closes its own fixture. If `advance` moves the clock of the store, the tests run without
 * waiting and check times to the millisecond. Otherwise the suite really waits, about 50 ms at a time.
 *
 * @param name the name of the store in the titles
 * @param open creates a store without tasks, on a separate database
 * @param options how to register tests, and what to skip
 * @throws {TypeError} if there is no test function, or an argument is of the wrong type
 *
 * @example
 * ```ts
 * import { memoryStore } from "upkeep";
 * import { testStore, VirtualClock } from "upkeep/testing";
 *
 * const tests: Promise<void>[] = [];
 * testStore("memoryStore()", async () => {
 * 	const clock = new VirtualClock();
 * 	return { store: memoryStore({ clock }), advance: (duration: number) => clock.advance(duration), close() {} };
 * }, { test: (_title, body) => tests.push(body()), without: ["tx", "shared"] });
 * await Promise.all(tests);
 * ```
 */
export function testStore<Tx>(
	name: string,
	open: () => Promise<StoreFixture<Tx>>,
	options: StoreSuiteOptions = {},
): void {
	check("name", name, "string");
	check("open", open, "function");
	const { without = [], seed = Math.floor(Math.random() * 2 ** 31), ...given } = check("options", options, "object");
	check("seed", seed, "number", Number.isInteger(seed), "a whole number");
	check("without", without, "object", Array.isArray(without), "an array");
	const test = check("test", given.test ?? globalTest()!, "function");
	const register = ({ title, run }: StoreTest) =>
		test(`${name}.${title}`, () => use(open as () => Promise<StoreFixture>, run));
	const isLeftOut = ({ needs = [] }: StoreTest) => needs.some((need) => without.includes(need));
	const tests = allTests();
	tests.filter((test) => !isLeftOut(test)).forEach(register);
	register(modelTest(seed));
	register(familyModelTest(seed));
	register(capabilitiesTest(without, tests.filter(isLeftOut)));
	if (without.includes("tx")) register(refusal);
}

/** A function, because bundlers treat the construction of a list as a side effect. */
function allTests(): StoreTest[] {
	return [
		adding,
		replacing(),
		collecting(),
		pausing,
		claiming,
		settling,
		expiring(),
		lanes,
		laneRuns,
		limiting(),
		limitKeys(),
		overall(),
		spacing(),
		changing,
		restarting,
		inbox,
		logging,
		children,
		joining,
		history,
		looking,
		transactions,
		watching,
	]
		.flat();
}

/** A store without transactions must not claim to have them. */
const refusal: StoreTest = {
	title: "add(), save(), complete(), delete() and change() refuse a transaction, as there are none",
	async run(bench) {
		const { store, basket } = bench;
		const [ref] = await bench.running("a");
		const before = await bench.list();
		const task = { id: "b", kind: "work", payload: "", delay: 0, priority: 0 };
		await rejects(store.add(basket, [task], {}), "add() in a transaction");
		await rejects(store.save(basket, [{ ref: ref!, payload: "x" }], {}), "save() in a transaction");
		await rejects(store.complete(basket, ref!, { type: "done" }, {}), "complete()");
		await rejects(store.delete(basket, ["a"], {}), "delete() in a transaction");
		await rejects(store.change(basket, ["a"], "hold", {}), "change() in a transaction");
		equal(await bench.list(), before, "tasks after this");
	},
};

function capabilitiesTest(without: readonly StoreLack[], leftOut: readonly StoreTest[]): StoreTest {
	const names = leftOut.map(({ title }) => title).join("; ");
	return {
		title: `capabilities say what it can do${names && `; left out: ${names}`}`,
		async run({ store }) {
			const { durable, shared, tx, clock, maxPayload = 1, maxAdd = 1, maxAddBytes = 1 } = store.capabilities;
			const types = [durable, shared, tx, maxPayload, maxAdd, maxAddBytes].map((capability) => typeof capability);
			const wanted = ["boolean", "boolean", "boolean", "number", "number", "number"];
			equal(types, wanted, "types of the capabilities");
			equal(["machine", "server"].includes(clock), true, `"clock" is one of the two words (it is "${clock}")`);
			equal(!tx, without.includes("tx"), `whether tests of "tx" are left out`);
			equal(!shared, without.includes("shared"), `whether tests of "shared" are left out`);
			equal(store.watch === undefined, without.includes("watch"), `whether tests of "watch" are left out`);
		},
	};
}

async function use(open: () => Promise<StoreFixture>, run: (bench: Bench) => Promise<void>): Promise<void> {
	const fixture = await open();
	try {
		await fixture.store.open();
		await run(new Bench(fixture));
	} finally {
		await fixture.close();
	}
}
