// postgresStore() beside transactions of the caller that lock the same tasks in another order, and many that replace one
// task at the same time.
import { expect, test } from "vitest";
import type { Claim, NewTask, Store } from "../../../src/basket/store.ts";
import { type PostgresClient, postgresStore } from "../../../src/stores/postgres/postgres.ts";
import { claimed, fresh, type Main, task, until } from "./edges.ts";
import type { Connections, Driver } from "./suite.ts";

const replace = { ifPresent: "replace" } as const;
const lease = 30_000;
const ids = ["a", "b"];

/** The members that lock several tasks, and what they answer when the transaction has replaced both running tasks. */
const calls: Record<string, (store: Store, claims: readonly Claim[]) => Promise<unknown>> = {
	async turn(store, claims) {
		const settle = claims.map((ref) => ({ ref, outcome: { type: "done" as const } }));
		const { settled } = await store.turn("basket", { settle, claim: [], lease });
		expect(settled).toEqual([true, true]);
	},
	async save(store, claims) {
		expect(await store.save("basket", claims.map((ref) => ({ ref, progress: "half" })))).toEqual([true, true]);
	},
	change: async (store) => expect(await store.change("basket", ids, "hold")).toEqual([true, true]),
	delete: async (store) => expect(await store.delete("basket", ids)).toEqual([true, true]),
	async add(store) {
		const added = await store.add("basket", ids.map((id) => task({ id, payload: "last", ...replace })));
		expect(added.map(({ added }) => added)).toEqual([true, true]);
	},
};

export function testCircles(driver: Driver, main: Main): void {
	test.each(Object.keys(calls))(
		"%s() gives way to a transaction that locks the same tasks in another order, and is done after it",
		async (member) => {
			const { store, run, transaction } = await fresh(main, `circle_${member}`);
			await store.add("basket", ids.map((id) => task({ id })));
			const claims = await claimed(store);
			let calling: Promise<unknown> | undefined;
			await transaction(async (tx) => {
				await replaceIn(store, tx, "b");
				calling = calls[member]!(store, claims);
				calling.catch(() => {});
				await waiting(run, member);
				await replaceIn(store, tx, "a");
			});
			await calling;
			const left = await store.list("basket", { limit: 9 });
			// "a" may have ended before it is replaced: then it is added anew.
			const found = left.map(({ id }) => id).sort();
			if (member === "delete") expect(found.includes("b")).toBe(false);
			else expect(found).toEqual(ids);
		},
	);

	test("change() of a dead task waits for its lane before it locks the task", async () => {
		const { store, run, transaction } = await fresh(main, "circle_lane");
		await store.add("basket", [task({ id: "a", lane: "l" })]);
		const [ref] = await claimed(store);
		const outcome = { type: "dead" as const, attempts: 1, error: "x" };
		await store.turn("basket", { settle: [{ ref: ref!, outcome }], claim: [], lease });
		let changing: Promise<readonly boolean[]> | undefined;
		await transaction(async (tx) => {
			await store.add("basket", [task({ id: "b", lane: "l" })], tx);
			changing = store.change("basket", ["a"], "retry");
			await waiting(run, "change");
			expect(await store.delete("basket", ["a"], tx)).toEqual([true]);
		});
		expect(await changing).toEqual([false]);
		expect((await claimed(store)).map(({ id }) => id)).toEqual(["b"]);
	});

	test(
		"add() with replace by eight connections leaves one task, with the payload that was committed last",
		async () => {
			const { store, run, client } = await fresh(main, "eight");
			await run("CREATE TABLE eight.commits (n bigserial, payload text)");
			const others = await Promise.all(Array.from({ length: 8 }, () => driver.open(main().server.url)));
			try {
				const stores = [client, ...others.slice(1).map((other) => other.client)].map((each) =>
					postgresStore(each, { schema: "eight" })
				);
				await Promise.all(stores.map((each) => each.open()));
				let adding = stores.length;
				let runs = 0;
				const add = async (each: Store, which: number) => {
					for (let round = 0; round < 125; round++) {
						const payload = `${which} ${round}`;
						// A part of them is in a transaction, whose end is that of the replacement.
						if (round % 5 > 0) await each.add("basket", [newest(payload)]);
						else await others[which]!.transaction((tx) => each.add("basket", [newest(payload)], tx));
					}
					adding--;
				};
				const work = async () => {
					for (let isLast = false; !isLast;) {
						isLast = adding === 0;
						const claims = await claimed(store);
						expect(claims.length <= 1).toBe(true);
						runs += claims.length;
						const settle = claims.map((ref) => ({ ref, outcome: { type: "done" as const } }));
						const { settled } = await store.turn("basket", { settle, claim: [], lease });
						expect(settled.every(Boolean)).toBe(true);
					}
				};
				await Promise.all([...stores.map(add), work()]);
				expect(runs > 0).toBe(true);
				await work();
				expect(await store.list("basket", { limit: 9 })).toEqual([]);
				await Promise.all(stores.map(async (each, which) => {
					await others[which]!.transaction(async (tx) => {
						await each.add("basket", [newest(`last ${which}`)], tx);
						await ("unsafe" in tx ? tx.unsafe(note(which)) : tx.query(note(which)));
					});
				}));
				const last = JSON.stringify(await run("SELECT payload FROM eight.commits ORDER BY n DESC LIMIT 1"));
				const left = await store.list("basket", { limit: 9 });
				expect(left).toHaveLength(1);
				expect(last).toContain(`"${left[0]!.payload}"`);
			} finally {
				await Promise.all(others.map((other) => other.close()));
			}
		},
		60_000,
	);
}

/** The lock of the task orders these as the transactions commit. */
function note(which: number): string {
	return `INSERT INTO eight.commits (payload) VALUES ('last ${which}')`;
}

function newest(payload: string): NewTask {
	return task({ id: "one", payload, ...replace });
}

async function replaceIn(store: Store, tx: PostgresClient, id: string): Promise<void> {
	expect(await store.add("basket", [task({ id, payload: "new", ...replace })], tx)).toMatchObject([{ added: true }]);
}

/** Waits until a call waits for a lock. */
async function waiting(run: Connections["run"], member: string): Promise<void> {
	const text =
		`SELECT count(*)::int AS count FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid()
		AND query LIKE '%circle%${member === "delete" ? "remove" : member === "add" ? "put" : member}%'`;
	await until(async () => Number(JSON.stringify(await run(text)).match(/"count":(\d+)/)?.[1]) > 0);
}
