/**
 * Hears that tasks may be due, from this process at once, from others by Deno KV or by looking now and then.
 *
 * @module
 */

import type { Clock } from "../../platform/clock.ts";
import { observe, report } from "../../platform/observe.ts";
import { StoreError } from "../../platform/store-error.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import { toStoreError } from "./database.ts";
import type { Space, Tail } from "./space.ts";

const bell: Tail = ["bell"];

/** See {@link Store.watch}. */
export function watchBell(
	space: Space,
	{ clock, poll }: { readonly clock: Clock; readonly poll: number },
	wake: () => void,
	onError: (error: unknown) => void,
): () => void {
	let heard = "";
	let isOver = false;
	let isBroken = false;
	const reader = space.kv.watch([space.key(bell)]).getReader();
	const timer = new CallbackTimer(() => void look(), true);

	/** Also of what was there before: it may have come while this began. */
	function hear(versionstamp: string | null): void {
		if (isOver || versionstamp === null || versionstamp <= heard) return;
		heard = versionstamp;
		observe(onError, wake);
	}

	/** Once for each time that the database is out of reach. */
	function fail(error: unknown): void {
		const failure = toStoreError(error);
		if (isOver || isBroken) return;
		isBroken = true;
		report(onError, failure);
		if (failure instanceof StoreError && failure.code === "closed") stop();
	}

	async function listen(): Promise<void> {
		for (let next = await reader.read(); !next.done; next = await reader.read()) hear(next.value[0]!.versionstamp);
	}

	async function look(): Promise<void> {
		try {
			hear((await space.read([bell]))[0]!.versionstamp);
			isBroken = false;
		} catch (error) {
			fail(error);
		}
		if (!isOver) clock.set(timer, poll);
	}

	function stop(): void {
		isOver = true;
		clock.clear(timer);
		reader.cancel().catch(() => {});
	}

	listen().catch(fail);
	if (poll < Infinity) clock.set(timer, poll);
	return stop;
}
