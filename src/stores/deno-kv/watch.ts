/**
 * Hears that tasks may be due, from this process at once, from others by Deno KV or by looking now and then.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import type { Clock } from "../../platform/clock.ts";
import { observe, report } from "../../platform/observe.ts";
import { StoreError } from "../../platform/store-error.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import { ask, type DenoKv, type DenoKvEntry, type DenoKvKeyPart, toStoreError } from "./database.ts";

/** How long after a failure it listens again, in milliseconds. */
const retryDelay = 1000;

/** How a bell is heard. */
export interface BellTerms {
	readonly clock: Clock;
	/** How often it is looked at, in milliseconds. */
	readonly pollInterval: number;
}

/** Calls `wake` each time that one of the keys gets another value; the first one is that of the reason `"claims"`. */
export function watchBell(
	kv: DenoKv,
	bells: readonly DenoKvKeyPart[][],
	{ clock, pollInterval }: BellTerms,
	wake: (reason?: WakeReason) => void,
	onError: (error: unknown) => void,
): () => void {
	const heard = bells.map(() => "");
	let isOver = false;
	let isBroken = false;
	let isListening = false;
	let reader: ReadableStreamDefaultReader<DenoKvEntry[]> | undefined;
	const timer = new CallbackTimer(() => void tick(), true);

	/** Also of what was there before: it may have come while this began. */
	function hear(entries: readonly { readonly versionstamp: string | null }[]): void {
		isBroken = false;
		const isNews = entries.map(({ versionstamp }, index) => versionstamp !== null && versionstamp > heard[index]!);
		if (isOver || !isNews.includes(true)) return;
		entries.forEach(({ versionstamp }, index) => isNews[index] && (heard[index] = versionstamp!));
		observe(onError, wake, isNews[0] ? "claims" : undefined);
	}

	/** Says so once for each time that the database is out of reach. */
	function fail(error: unknown): void {
		const failure = toStoreError(error);
		if (isOver) return;
		if (!isBroken) report(onError, failure);
		isBroken = true;
		if (!(failure instanceof StoreError) || failure.code !== "closed") return;
		stop();
		observe(onError, wake, undefined); // whoever sleeps has to find out
	}

	async function listen(): Promise<void> {
		isListening = true;
		await undefined; // whoever watches is not told of an error before the watching has begun
		try {
			if (!isOver) await hearAll();
		} catch (error) {
			fail(error);
		}
		isListening = false;
		arm();
	}

	async function hearAll(): Promise<void> {
		reader = kv.watch([...bells]).getReader();
		for (let next = await reader.read(); !next.done; next = await reader.read()) hear(next.value);
	}

	async function tick(): Promise<void> {
		if (!isListening) void listen();
		// Another process that writes to the same file tells nobody.
		try {
			if (pollInterval < Infinity) hear(await ask(() => kv.getMany([...bells])));
		} catch (error) {
			fail(error);
		}
		arm();
	}

	function arm(): void {
		if (!isOver && (pollInterval < Infinity || !isListening)) {
			clock.set(timer, pollInterval < Infinity ? pollInterval : retryDelay);
		}
	}

	function stop(): void {
		isOver = true;
		clock.clear(timer);
		reader?.cancel().catch(() => {});
	}

	void listen();
	arm();
	return stop;
}
