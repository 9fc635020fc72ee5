/**
 * `upkeep cancel` and `signal`: messages to jobs.
 *
 * @module
 */

import type { Data, Store } from "../basket/store.ts";
import { jsonCodec } from "../basket/engine.ts";
import type { JobMessage } from "../job/state.ts";
import { JobReader } from "./job-reader.ts";
import { type ExitCode, Failure, missing, quote, type Request, type Terminal } from "./terminal.ts";
import { toJson } from "./text.ts";

/** Cancels jobs: what they have done is reverted by a process that runs them. */
export async function cancel(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	let code: ExitCode = 0;
	for (const id of new Set(request.ids)) {
		const reason = await send(store, request, id, { type: "cancel" });
		if (!terminal.isTable) await terminal.print(toJson({ id, cancelled: !reason, reason: reason?.message }));
		else if (reason === undefined) await terminal.print(`${quote(id)} will be reverted`);
		if (reason === undefined) continue;
		terminal.note(reason.message);
		code = code === 3 ? 3 : reason.code;
	}
	return code;
}

/** Sends a value to the step of a job that waits for it, or will. */
export async function signal(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	const [id, name, text] = request.ids;
	const reason = await send(store, request, id!, { type: "signal", name: name!, value: toValue(text) });
	if (reason !== undefined) throw reason;
	if (terminal.isTable) await terminal.print(`${quote(id!)} has got ${quote(name!)}`);
	else await terminal.print(toJson({ id, name, sent: true }));
	return 0;
}

/** Returns why the message could not be sent, if it could not. */
async function send(
	store: Store,
	{ basket }: Request,
	id: string,
	message: JobMessage,
): Promise<Failure | undefined> {
	const task = await store.get(basket, id);
	if (task === undefined) return missing(id, basket);
	const job = await new JobReader(store, basket).position(task);
	if (job === undefined) return new Failure(1, `The task ${quote(id)} is no job that can be read`);
	const { plan, at, isBackward, pending } = job;
	// Only the body of a durable function knows its names.
	const isOpen = message.type !== "signal" ||
		!isBackward && (pending !== undefined || plan.indexOf(message.name) >= at);
	if (message.type === "signal" && !isOpen) {
		const left = isBackward ? [] : plan.slice(at);
		const rest = left.length === 0 ? "" : `; its next steps are ${left.map(quote).join(", ")}`;
		return new Failure(1, `The job ${quote(id)} does not wait for ${quote(message.name)}${rest}`);
	}
	const isPosted = await store.post(basket, id, await jsonCodec.encode(message) as Data);
	return isPosted ? undefined : new Failure(1, `The job ${quote(id)} has ended`);
}

function toValue(text: string | undefined): unknown {
	try {
		return text === undefined ? undefined : JSON.parse(text);
	} catch {
		throw new Failure(2, `signal takes a value as JSON, such as true or '"a text"', not ${quote(text!)} (see --help)`);
	}
}
