/** What this device still has to tell the server. The tabs and the service worker work on the same basket. */

import { Basket, type BasketOptions, cloneCodec, later, stopNow } from "upkeep";
import { indexedDBStore } from "upkeep/stores/indexeddb";
import { session } from "./session.ts";

export interface Edit {
	readonly note: string;
	readonly text: string;
}

export interface Photo {
	readonly note: string;
	readonly photo: Blob;
}

const tasks = {
	save: ({ note, text }: Edit, { signal }: { signal: AbortSignal }) => send(`/api/notes/${note}`, text, signal),
	photo: ({ note, photo }: Photo, { id, signal }: { id: string; signal: AbortSignal }) =>
		send(`/api/notes/${note}/photos/${id}`, photo, signal),
};

export type Outbox = Basket<typeof tasks, IDBTransaction>;

export function openOutbox(options: Pick<BasketOptions<typeof tasks>, "gate" | "wake">): Outbox {
	return new Basket<typeof tasks, IDBTransaction>({
		store: indexedDBStore("notes"),
		codec: cloneCodec, // stores photos as they are
		tasks,
		timeout: 20_000,
		backoff: { start: 500, max: 60_000, jitter: "full" },
		...options,
	});
}

/** One task for each note, with its newest text: it is sent when nobody types for half a second, or after five. */
export async function saveText(outbox: Outbox, note: string, text: string): Promise<void> {
	const id = `save:${note}`;
	await outbox.add("save", { note, text }, { id, ifPresent: "replace", delay: 500, within: 5_000, lane: note });
}

/** In the lane of its note, so that the note is there before its photo. */
export async function savePhoto(outbox: Outbox, note: string, photo: Blob): Promise<void> {
	await outbox.add("photo", { note, photo }, { id: crypto.randomUUID(), lane: note });
}

/** Each request can be repeated: its path says what is stored. */
async function send(path: string, body: string | Blob, signal: AbortSignal): Promise<void> {
	const { status, ok } = await session.fetch(path, { method: "PUT", body, signal });
	if (status === 401) throw later(0); // no failure: the gate is closed until the next login
	if (status >= 400 && status < 500) throw stopNow(new Error(`The server refuses it: ${status}`));
	if (!ok) throw new Error(`The server answers ${status}`);
}
