/** Demo messages. */

import { poll } from "../../mod.ts";
import type { Outbox } from "./service.ts";

const names = ["ada", "grace", "edsger", "barbara", "tony", "frances"];
const texts = ["is it raining?", "see you at eight", "the tests are green", "call me back", "it works here"];

/** Sends a few messages now, and then one at intervals until the signal aborts. */
export async function sendDemo(outbox: Outbox, signal: AbortSignal): Promise<void> {
	let count = 0;
	const send = async () => {
		const message = { to: names[count % names.length], text: texts[count % texts.length] };
		count++;
		await outbox.accept(message, `demo-${crypto.randomUUID().slice(0, 8)}`);
	};
	// Always the same id: while the message is stored, it is not added again.
	await outbox.accept({ to: "nobody", text: "this one ends up dead" }, "demo-dead");
	for (let index = 0; index < 5; index++) await send();
	await poll(send, { interval: 1_500 }).attach(signal);
}
