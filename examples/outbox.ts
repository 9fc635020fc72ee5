/**
 * An outbox: accepts JSON messages over HTTP, on standard input and from a page that works offline, stores them in an
 * SQLite file, and sends each to a webhook until it is delivered. `npm start` runs it, and so do
 * `node examples/outbox.ts`, `deno run -A examples/outbox.ts` and `bun examples/outbox.ts`; `--help` has the options.
 *
 * What the library does here:
 *
 * - the messages are the tasks of a `Basket` on `sqliteStore`: accepted messages survive the process, and are retried
 *   with a backoff, after the time that the webhook asks for, or not at all (outbox/service.ts, outbox/deliver.ts);
 * - the page has its own basket on `indexedDBStore`, which delivers to this server with the same function. Hints of
 *   `upkeep/browser` wake it, one tab at a time processes it, and a service worker continues when the last tab is
 *   closed (outbox/page/);
 * - the view and the page read the baskets with `counts`, `list` and `subscribe`; repeated requests use `poll`.
 *
 * `/inspector` shows everything about the messages, with `<upkeep-inspector>` and `basketHandler` (shared/inspector.ts).
 *
 * Decisions: a message is accepted (202) when it is on the disk. It is delivered at least once, with the id as
 * idempotency key, so that the receiver can drop duplicates. Delivered messages are kept for five minutes, so that
 * sending one again does not deliver it again. Ctrl-C is the normal way to end this program, so it exits with 0.
 */

import process from "node:process";
import { sleep } from "../mod.ts"; // elsewhere: from "upkeep"
import { createApi } from "./outbox/api.ts";
import { type Options, readArguments, usage } from "./outbox/arguments.ts";
import { openDatabase, Received, RememberedPort } from "./outbox/database.ts";
import { sendDemo } from "./outbox/demo.ts";
import { readInput } from "./outbox/input.ts";
import { createPage } from "./outbox/page.ts";
import { Receiver } from "./outbox/receiver.ts";
import { Outbox } from "./outbox/service.ts";
import { Log, Screen, type View } from "./outbox/view.ts";
import { UsageError } from "./shared/arguments.ts";
import { createInspector } from "./shared/inspector.ts";
import { isLive, output, whenInterrupted } from "./shared/process.ts";
import { type Handler, type RunningServer, serve } from "./shared/serve.ts";
import { count, describe, inSeconds } from "./shared/words.ts";

async function main(): Promise<void> {
	const options = readArguments(process.argv.slice(2));
	if (options.isHelp) return output(usage);
	const end = new AbortController();
	whenInterrupted(end);
	const database = await orFail(`cannot open ${options.file}`, () => openDatabase(options.file));
	const receiver = options.webhook === undefined ? new Receiver(new Received(database)) : undefined;
	const view: View = isLive && !options.isPlain ? new Screen() : new Log();
	const outbox = new Outbox(database, options.webhook ?? await receiver!.url(), view.note);
	const api = createApi(outbox, receiver);
	const page = createPage();
	const { outbox: basket, meter } = outbox.inspectable;
	const inspector = createInspector({ outbox: basket }, meter);
	const handler: Handler = async (request) => await page(request) ?? await inspector(request) ?? await api(request);
	const startedAt = Date.now();
	let server: RunningServer | undefined;
	try {
		server = await listen(handler, options.port, new RememberedPort(database));
		const url = `http://127.0.0.1:${server.port}/`;
		const { file, isDemo } = options;
		await view.open({ url, file, isDemo, hasOwnWebhook: receiver !== undefined }, {
			status: async () => ({ ...await outbox.status(), received: receiver?.totals }),
			subscribe: (listener) => outbox.subscribe(listener),
		});
		await work(outbox, view, options, end);
	} finally {
		await view.close();
		await server?.close();
		await receiver?.close();
		database.close();
	}
	const { delivered, failed } = outbox.totals;
	const time = inSeconds(Date.now() - startedAt);
	output(`Stopped after ${time}: ${count(delivered, "message")} delivered, ${count(failed, "attempt")} failed.\n`);
}

/** Delivers until the time is over or `end` aborts. */
async function work(outbox: Outbox, view: View, { duration, isDemo }: Options, end: AbortController): Promise<void> {
	const { signal } = end;
	const delivering = outbox.run(signal).finally(() => end.abort()); // it ends if the file is permanently lost
	const reading = process.stdin.isTTY ? undefined : readInput(outbox, view.note, signal);
	const sending = isDemo
		? sendDemo(outbox, signal).catch((error) => signal.aborted || view.note("error", describe(error)))
		: undefined;
	await sleep(duration, { signal }).catch(() => {});
	end.abort();
	await delivering;
	await reading;
	await sending;
}

/** Listens on the given port, or else on the last one, or on any port if that one is in use. */
async function listen(handler: Handler, port: number | undefined, remembered: RememberedPort): Promise<RunningServer> {
	const tryPort = async (port: number) => await serve(handler, port); // some runtimes throw synchronously
	const last = remembered.get();
	if (port === undefined && last !== undefined) return await tryPort(last).catch(() => tryPort(0));
	const server = await orFail(`cannot listen on port ${port}`, () => tryPort(port ?? 0));
	remembered.set(server.port);
	return server;
}

/** A failure that the user can fix, but not in the command line. */
class Failure extends Error {}

async function orFail<T>(what: string, act: () => T | PromiseLike<T>): Promise<T> {
	try {
		return await act();
	} catch (error) {
		throw new Failure(`${what}: ${describe(error)}`);
	}
}

try {
	await main();
} catch (error) {
	if (!(error instanceof UsageError || error instanceof Failure)) throw error;
	console.error(`outbox: ${error.message}`);
	process.exitCode = error instanceof UsageError ? 2 : 1;
}
