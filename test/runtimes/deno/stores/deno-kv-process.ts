// Claims and completes tasks until all tasks before the task "end" are gone, and prints their ids. deno-kv.test.ts
// runs several of these processes concurrently.
import { denoKvStore } from "upkeep/stores/deno-kv";

const kv = await Deno.openKv(Deno.args[0]);
const store = denoKvStore(kv, { pollInterval: 20 });
await store.open();
const woken = Promise.withResolvers<void>();
const stop = store.watch!("basket", () => woken.resolve(), (error) => console.error(error));
console.log("ready");
await woken.promise;
stop();
for (let isOver = false; !isOver;) {
	const areAllAdded = await store.get("basket", "end") !== undefined;
	const turn = await store.turn("basket", { settle: [], claim: [{ kinds: ["work"], limit: 7 }], lease: 60_000 });
	isOver = areAllAdded && turn.claims.length === 0 && turn.dueIn === Infinity;
	const settle = turn.claims.map((ref) => ({ ref, outcome: { type: "done" } as const }));
	const { settled } = await store.turn("basket", { settle, claim: [], lease: 60_000 });
	turn.claims.forEach(({ id }, index) => console.log(settled[index] ? id : "lost"));
}
// The database stays open, which must not keep the process alive.
