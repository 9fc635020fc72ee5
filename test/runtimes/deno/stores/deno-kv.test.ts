import { describe, expect, test } from "vitest";
import { denoKvStore } from "upkeep/stores/deno-kv";
import { testStore, VirtualClock } from "upkeep/testing";

for (const [name, makePath] of [["in memory", () => ":memory:"], ["in a file", makeFile]] as const) {
	testStore(`denoKvStore() ${name}`, async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		const path = makePath();
		const open = async () => {
			const kv = await Deno.openKv(path);
			opened.push(kv);
			return denoKvStore(kv, { clock });
		};
		const opened: Deno.Kv[] = [];
		const store = await open();
		const transaction = async (work: (tx: Deno.AtomicOperation) => Promise<unknown>) => {
			const tx = opened[0]!.atomic();
			await work(tx);
			if (!(await tx.commit()).ok) throw new Error("The commit failed");
		};
		return {
			store,
			transaction,
			advance: (duration) => clock.advance(duration),
			another: path === ":memory:" ? async () => denoKvStore(opened[0]!, { clock }) : open,
			async close() {
				for (const kv of opened) kv.close();
				if (path !== ":memory:") await Deno.remove(path.slice(0, path.lastIndexOf("/")), { recursive: true });
			},
		};
	}, { test: (title, body) => test(title, body) });
}

function makeFile(): string {
	return Deno.makeTempDirSync() + "/kv.sqlite3";
}
