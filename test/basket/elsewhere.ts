// A running task must soon learn of changes that another process makes. The leases are so long that no renewal
// reports a change in time.
import { expect } from "vitest";
import { Basket, job, Processor, type Store } from "../../mod.ts";
import { deferred, untilAborted } from "../support.ts";

const lease = 600_000;

/** Deletes a running task, and cancels a running job, through the store of another process. */
export async function expectHeardElsewhere<Tx>(one: Store<Tx>, other: Store<Tx>): Promise<void> {
	await expectDeletionHeard(one, other);
	await expectCancelHeard(one, other);
}

async function expectDeletionHeard<Tx>(one: Store<Tx>, other: Store<Tx>): Promise<void> {
	const [begun, aborted] = [deferred(), deferred<unknown>()];
	const long = async (_: unknown, { signal }: { signal: AbortSignal }) => {
		begun.resolve();
		await untilAborted(signal).catch(aborted.resolve);
	};
	const options = { name: "deleted", lease, tasks: { long } };
	const here = new Basket({ ...options, store: one, onError: aborted.reject });
	const there = new Basket({ ...options, store: other });
	await there.add("long", undefined, { id: "x" });
	const run = here.run();
	run.catch(aborted.reject);
	await begun.promise;
	expect(await there.delete("x")).toBe(true);
	expect(await aborted.promise).toMatchObject({ name: "ClaimLostError", id: "x" });
	await here.stop();
	await run;
}

async function expectCancelHeard<Tx>(one: Store<Tx>, other: Store<Tx>): Promise<void> {
	const [begun, aborted] = [deferred(), deferred<unknown>()];
	const long = job("long").step("wait", {
		run: async ({ signal }) => {
			begun.resolve();
			await untilAborted(signal).catch(aborted.resolve);
		},
	});
	const options = { name: "cancelled", lease, jobs: [long] };
	const here = new Processor({ ...options, store: one, onError: aborted.reject });
	const there = new Processor({ ...options, store: other });
	const { id } = await there.add(long);
	const run = here.run();
	run.catch(aborted.reject);
	await begun.promise;
	expect(await there.cancel(id)).toBe(true);
	expect(await aborted.promise).toMatchObject({ name: "AbortError" });
	await here.wait(id);
	await here.stop();
	await run;
}
