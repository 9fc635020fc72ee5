// The longest time between two turns of the event loop while a call works on many tasks. It is that of the best of some
// rounds, because other load of the machine can only add time. `synchronous` is NORMAL, and there are no checkpoints, so that the
// disk is not measured: a checkpoint of the default 4 MB takes as long as that needs.
import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Basket, type Store } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, parameters, report } from "../measure.ts";

interface Queue {
	readonly basket: Basket<{ task: (payload: number) => Promise<void> }, DatabaseSync>;
	readonly store: Store<DatabaseSync>;
}

/** A call, and the number of tasks that it must have found. */
type Call = (queue: Queue) => Promise<number>;

const isQuick = parameters().get("plan") === "quick";
const count = isQuick ? 5_000 : 20_000;
const rounds = isQuick ? 2 : 5;
const query = { kind: "task" } as const;
const hold: Call = ({ basket }) => basket.hold(query);

const cases: Record<string, { before?: Call; call: Call; found?: number }> = {
	"hold": { call: hold },
	"release": { before: hold, call: ({ basket }) => basket.release(query) },
	"retry": { call: ({ basket }) => basket.retry(query) },
	"delete": { call: ({ basket }) => basket.delete(query) },
	"list": { call: ({ basket }) => Array.fromAsync(basket.list(query)).then(({ length }) => length) },
	"counts": { call: ({ basket }) => basket.counts().then(({ waiting }) => waiting) },
	"claim of 1,000": { call: claim, found: 1_000 },
};

const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-hold-"));
try {
	const { before, call, found = count } = cases[parameters().get("case")!]!;
	let best = Infinity;
	for (let round = 0; round < rounds; round++) {
		const queue = await fill(join(folder, `${round}.db`));
		await before?.(queue);
		const watching = longestHold();
		expect(await call(queue), found);
		best = Math.min(best, await watching());
	}
	await report(best);
} finally {
	rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function fill(path: string): Promise<Queue> {
	const db = new DatabaseSync(path);
	db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0");
	const store = sqliteStore(db);
	const basket = new Basket({
		store,
		tasks: { task: async (_: number) => {} },
	});
	await basket.open();
	await basket.addMany(
		Array.from({ length: count }, (_, payload) => ({ kind: "task", payload })),
	);
	return { basket, store };
}

async function claim({ store }: Queue): Promise<number> {
	const turn = {
		settle: [],
		claim: [{ kinds: ["task"], limit: 1_000 }],
		lease: 30_000,
	};
	return (await store.turn("default", turn)).claims.length;
}

/** Measures from now on. The returned function ends that, and returns the longest time in milliseconds. */
function longestHold(): () => Promise<number> {
	let longest = 0;
	let last = performance.now();
	let isOver = false;
	const turn = (): void => {
		const now = performance.now();
		longest = Math.max(longest, now - last);
		last = now;
		if (!isOver) setImmediate(turn);
	};
	setImmediate(turn);
	return async () => {
		await new Promise((resolve) => setImmediate(resolve));
		isOver = true;
		return longest;
	};
}
