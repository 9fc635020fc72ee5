/**
 * Saves a document while somebody types it, over a network that fails meanwhile: `node examples/autosave.ts`,
 * `deno run -A examples/autosave.ts`, `bun examples/autosave.ts`. Ctrl-C closes the document early.
 *
 * What the library does here:
 *
 * - `ifPresent: "replace"` keeps one task for the document, with the newest text. Its `delay` is a debounce, and
 *   `within` the longest wait, so that somebody who never stops typing is saved, too;
 * - an edit during a request waits behind it, so that requests never overtake each other;
 * - a failed request is retried with the newest text;
 * - at the end, `retry` makes the waiting task due at once, and `wait` resolves when it is done.
 *
 * The store is in memory. With `indexedDBStore("app")` in a page, the edits also survive a closed tab.
 */

import process from "node:process";
import { Basket, memoryStore, sleep } from "../mod.ts"; // elsewhere: from "upkeep"

const text = "A debounce that survives the tab, the process and the network is one option of one call.";
/** The part of the text, from 0 to 1, that is typed while the network is away. */
const away = { from: 0.3, to: 0.6 };

/** The server, over a slow network. */
const server = {
	isAway: false,
	saved: "",
	requests: 0,
	async save(text: string, signal: AbortSignal): Promise<void> {
		this.requests++;
		await sleep(50, { signal });
		if (this.isAway) throw new Error("the network is away");
		this.saved = text;
	},
};

const id = "save-document-7";
await using basket = new Basket({
	store: memoryStore(),
	retain: 60_000,
	backoff: { start: 100, max: 400 },
	tasks: {
		save: async ({ text }: { text: string }, { signal }) => await server.save(text, signal),
	},
	onSettled({ outcome, error }) {
		console.log(outcome === "done" ? `saved: ${server.saved}` : `${outcome}: ${(error as Error).message}`);
	},
});
void basket.run();

const closing = new AbortController();
process.once("SIGINT", () => closing.abort());
const typed = await type(closing.signal);
server.isAway = false;
await basket.retry(id);
await basket.wait(id);
console.log(`${typed.length} edits, ${server.requests} requests; the server has ${isSaved(typed) ? "it all" : "less"}`);

/** Types the text, and adds each state of it. Resolves with what was typed until the signal aborted. */
async function type(signal: AbortSignal): Promise<string> {
	for (let length = 1; length <= text.length; length++) {
		const part = length / text.length;
		server.isAway = part > away.from && part < away.to;
		const edit = { text: text.slice(0, length) };
		await basket.add("save", edit, { id, ifPresent: "replace", delay: 100, within: 400 });
		await sleep(20, { signal }).catch(() => {});
		if (signal.aborted) return edit.text;
	}
	return text;
}

function isSaved(text: string): boolean {
	return server.saved === text;
}
