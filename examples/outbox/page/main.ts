/** The page: takes messages, with or without the server, and shows where they are. */

import { backgroundSync, leader, online, visible } from "../../../src/browser/browser.ts"; // elsewhere: from "upkeep/browser"
import { poll, type TaskRecord } from "../../../mod.ts"; // elsewhere: from "upkeep"
import type { MessageStatus } from "../service.ts";
import { openBasket } from "./basket.ts";
import { List } from "./list.ts";
import { Server } from "./server.ts";

const server = new Server(show);
// One tab at a time processes the basket; every tab can add messages and shows all of them.
const basket = openBasket({ gate: leader("outbox"), wake: [online(), visible(), server.back] });
const device = new List("device", {
	"Try now": (id) => basket.retry(id),
	"Discard": (id) => basket.delete(id),
});
const serverActions = {
	"Try now": (id: string) => server.retry(id),
	"Delete": (id: string) => server.delete(id),
};
const [queue, dead, delivered] = [
	new List("queue", serverActions),
	new List("dead", serverActions),
	new List("delivered"),
];
const form = document.querySelector("form")!;
const outcome = document.getElementById("outcome")!;
const place = document.getElementById("server")!;
/** Whether something was stored here since the device was last empty. */
let isFilled = false;

form.addEventListener("submit", async (event) => {
	event.preventDefault();
	const text = String(new FormData(form).get("text")).trim();
	if (text === "") return;
	try {
		await basket.add("deliver", { text }, { id: crypto.randomUUID() });
		form.reset(); // only after it is stored
		isFilled = true;
		outcome.textContent = server.isThere
			? "Stored, and being delivered."
			: "Kept on this device until the server is available.";
	} catch (error) {
		outcome.textContent = `Not stored: ${(error as Error).message}`;
	}
});

const { signal } = new AbortController(); // never aborts
basket.run({ signal }).catch((error) => outcome.textContent = `This device cannot store messages: ${error.message}`);
basket.subscribe(showDevice);
// For the countdowns, and for changes by other tabs.
poll(showDevice, { interval: 1_000 }).attach(signal);
server.watch(signal);
if ("serviceWorker" in navigator) {
	await navigator.serviceWorker.register("/service-worker.js", { type: "module" });
	backgroundSync(basket, await navigator.serviceWorker.ready);
}

async function showDevice(): Promise<void> {
	const messages: MessageStatus[] = [];
	for await (const task of basket.list({ limit: 50 })) messages.push(toStatus(task));
	device.show(messages);
	if (messages.length > 0 || !isFilled) return;
	isFilled = false;
	outcome.textContent = "The server has received all messages of this device.";
}

function show(): void {
	const { isThere, status } = server;
	place.dataset["state"] = isThere ? "there" : "away";
	place.textContent = isThere
		? "Connected to the server"
		: "The server is not available: messages are kept on this device";
	if (status === undefined) return;
	const { waiting, running } = status.counts;
	queue.show([...status.running, ...status.waiting].map(readable), waiting + running, !isThere);
	document.getElementById("dead")!.hidden = status.counts.dead === 0;
	dead.show(status.dead.map(readable), status.counts.dead, !isThere);
	delivered.show(status.delivered.map(readable), status.totals.delivered, !isThere);
}

function toStatus({ id, state, payload, attempts, addedAt, dueAt, error }: TaskRecord): MessageStatus {
	const dueIn = state === "waiting" && dueAt !== undefined ? Math.max(0, dueAt - Date.now()) : undefined;
	const { text } = payload as { text: string };
	return { id, state, text, attempts, age: Date.now() - addedAt, dueIn, error: error?.message };
}

/** Shows only the text of a message, if it has one. */
function readable(message: MessageStatus): MessageStatus {
	try {
		const { to, text } = JSON.parse(message.text);
		if (typeof text === "string") return { ...message, text: to === undefined ? text : `${to}: ${text}` };
	} catch {
		// The text was shortened and is not valid JSON.
	}
	return message;
}
