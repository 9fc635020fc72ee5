// Postgres with a full disk. An add reports the lack of space, and earlier tasks are done when there is space again.
// It needs Linux and root, because only root can mount a small disk.
import { spawnSync } from "node:child_process";
import { afterAll, describe, expect, test } from "vitest";
import { PostgresMachine, query } from "../../servers/postgres-machine.ts";
import { createDatabase, effectsOf, names, until, Work } from "../../servers/postgres-work.ts";
import { lackOfSmallDisk, openSmallDisk } from "../../servers/small-disk.ts";

const lack = lackOfSmallDisk();
const reason = lack === undefined ? "" : `, left out: ${lack}`;
const open: { close(): unknown }[] = [];

afterAll(async () => {
	for (const each of open.toReversed()) await each.close();
}, 30_000);

// Skipped where no disk can be mounted; the title says why.
describe.skipIf(lack !== undefined)(`Basket on Postgres, whose disk is full${reason}`, () => {
	test("rejects what is added with the code full, and goes on when there is space", async () => {
		const disk = openSmallDisk(40);
		open.push(disk);
		const machine = await PostgresMachine.start();
		open.push(machine);
		spawnSync("chown", ["65534", disk.path]); // owned by the user of the server
		await query(machine.url, `CREATE TABLESPACE small LOCATION '${disk.path}'`);
		const url = await createDatabase(machine.url, "TABLESPACE small");
		const worker = new Work("pg", url);
		const adder = new Work("pg", url);
		open.push(worker, adder);
		await adder.add("exact", names("before", 20), "lane");
		disk.fill();
		const large = "x".repeat(100_000);
		await until(async () => {
			const error = await adder.basket.add("loose", large).then(() => undefined, (error) => error);
			if (error !== undefined) expect(error).toMatchObject({ name: "StoreError", code: "full", isTransient: true });
			return error !== undefined;
		}, "nothing can be added");
		const added = (await adder.basket.counts()).waiting;
		await worker.start();
		await until(() => worker.storeErrors.some(({ code }) => code === "full"), "it says that there is no space", worker);
		disk.empty();
		await adder.add("exact", names("after", 20), "lane");
		await worker.untilDone();
		expect(worker.ran.filter((name) => name === large).length).toBe(added - 20);
		expect(await effectsOf(url)).toEqual([...names("before", 20), ...names("after", 20)].sort());
	}, 60_000);
});
