/**
 * Detects that tasks may be due: at once in this process, from other processes by Deno KV or by polling.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import type { Clock } from "../../platform/clock.ts";
import { observe, report } from "../../platform/observe.ts";
import { StoreError } from "../../platform/store-error.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import { ask, type DenoKv, type DenoKvEntry, type DenoKvKeyPart, toStoreError } from "./database.ts";

/** The delay before it listens again after a failure, in milliseconds. */
const retryDelay = 1000;

/** Options for {@link watchBell}. */
export interface BellTerms {
	readonly clock: Clock;
	/** The polling interval, in milliseconds. */
	readonly pollInterval: number;
}

/** Calls `wake` each time one of the keys gets a new value. The first key belongs to the reason `"claims"`. */
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

	/** Also for existing values, which may have arrived while this began. */
	function hear(entries: readonly { readonly versionstamp: string | null }[]): void {
		isBroken = false;
		const isNews = entries.map(({ versionstamp }, index) => versionstamp !== null && versionstamp > heard[index]!);
		if (isOver || !isNews.includes(true)) return;
		entries.forEach(({ versionstamp }, index) => isNews[index] && (heard[index] = versionstamp!));
		observe(onError, wake, isNews[0] ? "claims" : undefined);
	}

	/** Reports an error once for each time that the database becomes unreachable. */
	function fail(error: unknown): void {
		const failure = toStoreError(error);
		if (isOver) return;
		if (!isBroken) report(onError, failure);
		isBroken = true;
		if (!(failure instanceof StoreError) || failure.code !== "closed") return;
		stop();
		observe(onError, wake, undefined); // lets a sleeping worker notice
	}

	async function listen(): Promise<void> {
		isListening = true;
		await undefined; // errors are reported only after the watch has begun
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
		// Other processes that write to the same file send no notification.
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
