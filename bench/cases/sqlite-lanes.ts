// Tasks in lanes on SQLite, whose every commit waits for the disk: the tasks of a lane run one after the other.
import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Basket } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, parameters, type Round, timeRounds } from "../measure.ts";

const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-lanes-"));
const lanes = Number.parseInt(parameters().get("case")!) || 0;
const count = parameters().get("plan") === "quick" ? 1_000 : 10_000;
let files = 0;
try {
	await timeRounds(count, withBasket);
} finally {
	rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function withBasket(): Promise<Round> {
	const db = new DatabaseSync(join(folder, `${files++}.db`));
	db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
	const last = new Map<number, number>();
	const basket = new Basket({
		store: sqliteStore(db),
		tasks: {
			task: async (payload: number) => {
				const lane = lanes === 0 ? payload : payload % lanes;
				if (payload <= (last.get(lane) ?? -1)) {
					throw new Error("The order of a lane has changed");
				}
				last.set(lane, payload);
			},
		},
	});
	await basket.open();
	const laneOf = (payload: number) => lanes === 0 ? undefined : `${payload % lanes}`;
	return {
		work: async () => {
			const payloads = Array.from({ length: count }, (_, payload) => payload);
			await basket.addMany(
				payloads.map((payload) => ({
					kind: "task",
					payload,
					lane: laneOf(payload),
				})),
			);
			await basket.drain();
		},
		verify: () => expect(basket.getSnapshot().succeeded, count),
	};
}
