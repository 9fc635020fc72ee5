// Only Node, because the driver is a Node addon.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Basket, sleep } from "../../../../mod.ts";
import { lmdbStore } from "../../../../examples/stores/lmdb.ts";
import { isLong } from "../../../support.ts";

const program = fileURLToPath(new URL("../../../fixtures/lmdb-process.ts", import.meta.url));
const [lanes, length, most] = [10, 20, isLong ? 24 : 12];

test("lmdbStore() loses nothing when its processes are killed, and keeps lanes in order", async () => {
	const folder = mkdtempSync(join(tmpdir(), "upkeep-lmdb-kills-"));
	const [path, log] = [join(folder, "tasks"), join(folder, "log")];
	writeFileSync(log, "");
	const store = lmdbStore(path);
	const basket = new Basket({ name: "storm", store, tasks: { work: { run: (_: string) => {} } } });
	const children: ChildProcess[] = [];
	const start = () =>
		children.push(spawn(process.execPath, [program, path, log], { stdio: ["pipe", "ignore", "inherit"] }));
	try {
		const ids = Array.from({ length: lanes * length }, (_, index) => `${index % lanes}.${Math.floor(index / lanes)}`);
		await basket.addMany(ids.map((id) => ({ kind: "work", payload: id, id, lane: `lane ${id.split(".")[0]}` })));
		await basket.addMany(ids.map((id) => ({ kind: "work", payload: `free ${id}`, id: `free ${id}` })));
		start();
		start();
		let kills = 0;
		const left = async () => {
			const { waiting, running } = await basket.counts();
			return waiting + running;
		};
		while (await left() > 0) {
			await sleep(150);
			if (kills >= most) continue;
			const victim = children.shift()!;
			victim.kill("SIGKILL");
			await once(victim, "exit");
			kills++;
			start();
		}
		expect(kills > 3).toBe(true);
		const done = readFileSync(log, "utf8").trim().split("\n");
		expect(new Set(done).size).toBe(2 * ids.length);
		for (let lane = 0; lane < lanes; lane++) {
			const places = done.filter((id) => id.startsWith(`${lane}.`)).map((id) => Number(id.split(".")[1]));
			expect(places).toEqual([...places].sort((a, b) => a - b));
		}
		expect((await basket.counts()).dead).toBe(0);
	} finally {
		for (const child of children) child.kill("SIGKILL");
		await store.close!();
		rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
	}
}, 120_000);
