import { denoKvStore } from "upkeep/stores/deno-kv";
import type { OpenDatabase } from "../../../job/database.ts";
import { testCrashes } from "../../../job/crashes.ts";
import { testDurable } from "../../../job/durable-laws.ts";
import { testJobs } from "../../../job/laws.ts";

/** A commit applies all of its changes or none, so that no transaction must be cut. */
const openDenoKv: OpenDatabase = async () => {
	const kv = await Deno.openKv(":memory:");
	return {
		connect: (clock, name) => ({
			store: denoKvStore(kv, { clock, pollInterval: Infinity }),
			async write(line, work) {
				const tx = kv.atomic().set(["lines", name, crypto.randomUUID()], line);
				await work(tx);
				if (!(await tx.commit()).ok) throw new Error("The commit failed");
			},
			async lines() {
				const entries = await Array.fromAsync(kv.list<string>({ prefix: ["lines", name] }));
				entries.sort((a, b) => a.versionstamp < b.versionstamp ? -1 : 1);
				return entries.map(({ value }) => value);
			},
			cut() {},
		}),
		close: () => Promise.resolve(kv.close()),
	};
};

testJobs("denoKvStore()", openDenoKv);
testDurable("denoKvStore()", openDenoKv);
testCrashes("denoKvStore()", openDenoKv, { stride: 3 });
