/**
 * Tests of what a store keeps about a task besides its payload: the text of its caller, its history, and who has its claim.
 *
 * @module
 */

import { type Claim, type ClaimOrigin, mostHistory, mostMeta, type NewTask, type Outcome } from "../../basket/store.ts";
import { equal, show } from "./assert.ts";
import type { Bench, StoreTest } from "./bench.ts";

export const history: readonly StoreTest[] = [
	{
		title: "add() stores meta, which get(), list() and each claim of the task return",
		async run(bench) {
			await bench.add({ id: "a", meta: "trace 1" }, "b", { id: "c", meta: "", limitKey: "k" });
			equal((await bench.list()).map(({ meta }) => meta), ["trace 1", undefined, ""], "listed");
			equal((await bench.get("a")).meta, "trace 1", "got");
			const claims = await bench.expectClaims(["a", "b", "c"], "first");
			equal(claims.map(({ meta }) => meta), ["trace 1", undefined, ""], "meta of the claims");
			await bench.settleAll(claims, { type: "retry", delay: 0, attempts: 1, error: "x" });
			equal((await bench.claim()).map(({ meta }) => meta), ["trace 1", undefined, ""], "meta of the next claims");
		},
	},
	{
		title: "add() keeps the lane, the key and meta of each of many tasks without ids",
		async run(bench) {
			const texts = [undefined, "", `"\\' \u65e5`];
			const labels = texts.flatMap((lane) =>
				texts.flatMap((limitKey) => texts.map((meta) => ({ lane, limitKey, meta })))
			);
			await bench.add(...labels.map((label) => ({ ...label, id: undefined })));
			const textsOf = ({ lane, limitKey, meta }: Partial<NewTask>) => show({ lane, limitKey, meta });
			equal((await bench.list()).map(textsOf), labels.map(textsOf), "listed");
			// Those behind the heads of their lanes are blocked. The keys take turns.
			const heads = labels.filter(({ lane }, index) =>
				lane === undefined || labels.findIndex((one) => one.lane === lane) === index
			);
			equal((await bench.claim()).map(textsOf).sort(), heads.map(textsOf).sort(), "claimed");
		},
	},
	{
		title: "meta and history may have their full lengths, in any language",
		async run(bench) {
			for (const [id, letter] of [["a", "x"], ["b", "\u65e5"], ["c", "\ud83c\udf89"]] as const) {
				const meta = letter.repeat(mostMeta / letter.length);
				const text = letter.repeat(mostHistory / letter.length);
				await bench.add({ id, meta });
				await bench.settle(await bench.claimOnly(id), { type: "dead", attempts: 1, error: "x", history: text });
				const task = await bench.get(id);
				equal([task.meta === meta, task.history === text], [true, true], `of ${id}`);
			}
		},
	},
	{
		title: "add() replaces meta with the payload: at once, or when the claim of a running task ends",
		async run(bench) {
			const again = (id: string, meta?: string): Partial<NewTask> => ({ id, meta, ifPresent: "replace" });
			const [a] = await bench.running({ id: "a", meta: "1" });
			await bench.add({ id: "b", meta: "1" }, { id: "c", meta: "1" });
			await bench.add(again("a", "2"), again("b", "2"), again("c"));
			equal((await bench.list()).map(({ meta }) => meta), ["1", "2", undefined], "while a runs");
			await bench.settle(a!, { type: "done" });
			const claims = await bench.claim();
			// In real time, the task that was running is due a little later.
			const metas = claims.map(({ id, meta }) => [id, meta] as const).sort(([a], [b]) => a < b ? -1 : 1);
			equal(metas, [["a", "2"], ["b", "2"], ["c", undefined]], "claimed");
			await bench.settleAll(claims, { type: "dead", attempts: 1, error: "x" });
			await bench.add(again("a", "3"));
			equal((await bench.get("a")).meta, "3", "meta of a dead task that was replaced");
		},
	},
	{
		title: "add() replaces meta with the payload of collected items",
		async run(bench) {
			const collect = (meta: string): Partial<NewTask> => {
				return { id: "a", payload: "\u0002", item: meta, meta, ifPresent: "collect" };
			};
			await bench.add(collect("1"));
			await bench.add(collect("2"));
			equal((await bench.get("a")).meta, "2", "meta of a waiting task");
			const claim = await bench.claimOnly("a");
			await bench.add(collect("3"));
			equal((await bench.get("a")).meta, "2", "meta of a running task");
			await bench.settle(claim, { type: "done", seen: 2 });
			const next = await bench.claimOnly("a");
			equal(next.meta, "3", "meta of its next claim");
			await bench.settle(next, { type: "dead", attempts: 1, error: "x", history: "h" });
			await bench.add(collect("4"));
			const last = await bench.claimOnly("a");
			equal([last.meta, last.history], ["4", "h"], "of a dead task that begins anew");
		},
	},
	{
		title: "turn() stores the history of each settlement that has one, and claims return it",
		async run(bench) {
			await bench.add("a");
			const outcomes: readonly Outcome[] = [
				{ type: "retry", delay: 0, attempts: 1, error: "x", history: "1" },
				{ type: "later", delay: 0, seen: 0 },
				{ type: "release", delay: 0, history: "2" },
				{ type: "later", delay: 0, seen: 0, history: "3" },
				{ type: "release" },
			];
			const histories: (string | undefined)[] = [];
			for (const outcome of outcomes) {
				const claim = await bench.claimOnly("a");
				histories.push(claim.history);
				await bench.settle(claim, outcome);
			}
			equal(histories, [undefined, "1", "1", "2", "3"], "of the claims");
			const [task] = await bench.list();
			equal([task!.history, (await bench.get("a")).history], ["3", "3"], "listed and got");
			await bench.settle(await bench.claimOnly("a"), { type: "done", retain: bench.long, history: "4" });
			equal((await bench.get("a")).history, "4", "of a done task");
			await bench.add("b");
			const settlement = { ref: await bench.claimOnly("b"), outcome: ended("done", "1") };
			await bench.settle({ ...settlement.ref, token: "1234567890" }, settlement.outcome);
			equal((await bench.get("b")).history, undefined, "of a claim that is lost");
		},
	},
	{
		title: "a task keeps its history and meta when it is retried or restarted, and not when it is removed",
		async run(bench) {
			for (const [type, keepsLog] of [["dead"], ["done", true], ["done", false]] as const) {
				await bench.add({ id: "a", meta: "m" });
				await bench.settle(await bench.claimOnly("a"), ended(type, "h"));
				const { key } = await bench.get("a");
				const restart = keepsLog !== undefined && { type: "restart", key, payload: "new", keepsLog } as const;
				equal(await bench.change("a", restart || "retry"), true, "begins anew");
				const claim = await bench.claimOnly("a");
				equal([claim.history, claim.meta], ["h", "m"], `after ${restart ? show(restart) : "a retry"}`);
				await bench.settle(claim, { type: "retry", delay: 0, attempts: 1, error: "x" });
				await bench.add({ id: "a", ifPresent: "replace" });
				equal((await bench.get("a")).history, "h", "with another payload");
				await bench.store.delete(bench.basket, ["a"]);
				await bench.add("a");
				equal((await bench.get("a")).history, undefined, "of another task with this id");
				await bench.store.delete(bench.basket, ["a"]);
			}
		},
	},
	{
		title: "a running task shows who has its claim and since when, until this is settled",
		async run(bench) {
			await bench.add("a", "b");
			if (bench.isExact) await bench.pass(3);
			const [a, b] = await claimAs(bench, "worker 1");
			const { claim } = await bench.get("a");
			equal(claim?.worker, "worker 1", "worker");
			if (bench.isExact) equal(claim!.at, a!.addedAt + 3 * bench.unit, "since when");
			equal((await bench.list()).map(({ claim }) => claim?.worker), ["worker 1", "worker 1"], "listed");
			await bench.pass(2);
			equal(await bench.store.extend(bench.basket, [a!], bench.long), ["ok"], "renewed");
			equal((await bench.get("a")).claim, claim, "after a renewal");
			await bench.settle(a!, { type: "release" });
			await bench.settle(b!, ended("done", "h"));
			equal((await bench.list()).map(({ claim }) => claim), [undefined, undefined], "settled");
			const [again] = await bench.running();
			equal(again, undefined, "nothing else runs");
			const [next] = await claimAs(bench, undefined);
			equal(next!.lapsed, undefined, "of the claim before, which was settled");
			const { worker, at } = (await bench.get("a")).claim!;
			equal([worker, at >= claim!.at], [undefined, true], "of a worker without a name");
		},
	},
	{
		title: "each claim says how long its task has been due",
		async run(bench) {
			await bench.add("a", { id: "b", delay: 2 * bench.unit }, { id: "c", lane: "l" }, { id: "d", lane: "l" });
			await bench.pass(3);
			const lateOf = async (lease?: number) => {
				const claims = await bench.claim(20, lease);
				return claims.map(({ id, late }) => [id, bench.isExact ? late / bench.unit : late >= 0]);
			};
			const units = (count: number) => bench.isExact ? count : true;
			equal(await lateOf(bench.unit), [["a", units(3)], ["c", units(3)], ["b", units(1)]], "of tasks that were due");
			await bench.pass(2);
			equal(await lateOf(), [["a", units(1)], ["b", units(1)], ["c", units(1)]], "of claims whose leases have ended");
			const { claims } = await bench.turn({ claim: [{ kinds: ["other"], limit: 1 }] });
			equal(claims, [], "of nothing");
		},
	},
	{
		title: "a claim that ended without a settlement is in the next one, and a task shows it until then",
		async run(bench) {
			await bench.add("a", { id: "b", lane: "l" }, { id: "c", lane: "l" });
			const run = [{ kind: "work", most: 2 }];
			const first = await bench.turn({ claim: all, lease: bench.unit, worker: "worker 1", runs: run });
			const before = await originsOf(bench, "a", "b");
			await bench.pass(2);
			equal(await originsOf(bench, "a", "b"), before, "when their leases have ended");
			const second = (await bench.turn({ claim: all, worker: "worker 2", lease: bench.unit })).claims;
			equal(second.map(({ id, lapsed }) => [id, lapsed]), [["a", before[0]], ["b", before[1]]], "claimed");
			if (first.claims.length === 3) equal((await bench.get("c")).claim?.worker, "worker 1", "of a follower");
			await bench.pass(2);
			const third = await claimAs(bench, "worker 3");
			equal(third.map(({ lapsed }) => lapsed?.worker), ["worker 2", "worker 2"], "the claims before these");
			await bench.settleAll(third, { type: "retry", delay: 0, attempts: 3, error: "x" });
			const last = await claimAs(bench, "worker 4");
			equal(last.map(({ lapsed }) => lapsed), [undefined, undefined], "after a settlement");
		},
	},
	{
		title: "a claim that a limit of the basket has put back is in the next one",
		async run(bench) {
			await bench.add("a");
			const overall = { atOnce: 1, spacing: 0, burst: 1 };
			await bench.turn({ claim: all, lease: bench.unit, worker: "worker 1", overall });
			const [before] = await originsOf(bench, "a");
			await bench.pass(2);
			const other = [{ kinds: ["other"], limit: 1 }];
			await bench.turn({ claim: other, worker: "worker 2", overall });
			// A store may also leave it running until somebody claims it.
			equal((await bench.get("a")).claim, before, "put back");
			const [next] = (await bench.turn({ claim: all, worker: "worker 2", overall })).claims;
			equal(next!.lapsed, before, "claimed");
		},
	},
	{
		title: "children have meta and history as other tasks have",
		async run(bench) {
			const [a] = await bench.running("a");
			const child = { id: "b", kind: "work", payload: "", delay: 0, priority: 0, meta: "m" };
			equal(await bench.store.save(bench.basket, [{ ref: a!, children: [child] }]), [true], "saved");
			const [b] = await claimAs(bench, "worker 1");
			equal([b!.id, b!.meta], ["b", "m"], "claimed");
			await bench.settle(b!, ended("done", "h"));
			const [listed] = await bench.store.list(bench.basket, { parent: "a", limit: 1 });
			equal([listed!.meta, listed!.history], ["m", "h"], "listed");
		},
	},
	{
		title: "complete() stores a history, too",
		needs: ["tx"],
		async run(bench) {
			const [a] = await bench.running("a");
			const done = { type: "done", retain: bench.long, history: "h" } as const;
			await bench.fixture.transaction!((tx) => bench.store.complete(bench.basket, a!, done, tx));
			const { state, history, claim } = await bench.get("a");
			equal([state, history, claim], ["done", "h", undefined], "task");
		},
	},
];

const all = [{ kinds: ["work"], limit: 20 }];

async function claimAs(bench: Bench, worker: string | undefined): Promise<readonly Claim[]> {
	return (await bench.turn({ claim: all, ...worker === undefined ? {} : { worker } })).claims;
}

async function originsOf(bench: Bench, ...ids: string[]): Promise<(ClaimOrigin | undefined)[]> {
	const origins: (ClaimOrigin | undefined)[] = [];
	for (const id of ids) origins.push((await bench.get(id)).claim);
	return origins;
}

const ended = (type: "done" | "dead", history: string): Outcome => {
	return type === "done" ? { type, retain: 1_000_000_000, history } : { type, attempts: 1, error: "x", history };
};
