/**
 * Watches URLs: a live table in a terminal, plain lines in a pipe or in CI. `npm run example:watch` runs it, and so
 * do `node examples/watch.ts`, `deno run -A examples/watch.ts` and `bun examples/watch.ts`; `--help` has the options.
 *
 * What the library does here:
 *
 * - each check of a URL is a task of a `Group`, with the URL as its name, and with attempts, backoff and timeout;
 *   `Retry-After` of a server sets the delay (watch/check.ts);
 * - the list and the intervals are the configuration of a `Lifecycle`, which can be replaced while it runs;
 * - the state of the network is an `Intermittent` that all URLs share (watch/network.ts);
 * - the table shows the tasks of the group, and is drawn when the group notifies its subscribers (watch/screen.ts,
 *   shared/live-screen.ts).
 *
 * Decisions: Ctrl-C is the normal way to end this program, so that it exits with 0; bad arguments make it exit with
 * 2. It ends when nothing runs anymore, and never by force, except at a second Ctrl-C. A new configuration begins a
 * new round for every URL; the counts continue.
 */

import process from "node:process";
import {
	type FailedAttempt,
	Group,
	type GroupTask,
	type Intermittent,
	Lifecycle,
	poll,
	type PollCounts,
	type RunnerOptions,
	sleep,
} from "../mod.ts"; // elsewhere: from "upkeep"
import { UsageError } from "./shared/arguments.ts";
import { isLive, output, whenInterrupted } from "./shared/process.ts";
import { count, describe, inSeconds } from "./shared/words.ts";
import { type Options, readArguments, readText, usage } from "./watch/arguments.ts";
import { type Answer, check } from "./watch/check.ts";
import { type Config, toConfig } from "./watch/config.ts";
import { startDemo } from "./watch/demo.ts";
import { Log } from "./watch/log.ts";
import { Network } from "./watch/network.ts";
import { Screen } from "./watch/screen.ts";
import type { History, View, Watched } from "./watch/view.ts";

/** All background work. */
class Watcher implements Watched {
	readonly group = new Group();
	readonly lifecycle: Lifecycle<Config>;
	readonly network = new Network(() => this.config?.urls ?? [], (state) => this.view.note("network", state));
	readonly history = new Map<string, History>();
	readonly total = { successes: 0, failures: 0 };
	readonly startedAt = Date.now();
	readonly #options: Options;
	readonly #onFinished: () => void;
	config: Config | undefined;
	view: View = isLive ? new Screen(this) : new Log();

	constructor(options: Options, onFinished: () => void) {
		this.#options = options;
		this.#onFinished = onFinished;
		this.lifecycle = new Lifecycle((config, { signal }) => this.#apply(config, signal), {
			readConfig: (data) => toConfig(data, options),
		});
	}

	/** The signal is the configuration's own: it ends whatever was begun for the sake of this one. */
	async #apply(config: Config, signal: AbortSignal): Promise<void> {
		this.config = config;
		this.view.note("config", `${count(config.urls.length, "URL")}, every ${inSeconds(config.interval)}`);
		await this.#forgetAllBut(config.urls);
		// Not awaited: the configuration is in effect as soon as the watching has begun.
		Promise.all(config.urls.map((url) => this.#watch(url, config, signal))).then(() => {
			if (!signal.aborted) this.#onFinished();
		});
	}

	async #forgetAllBut(urls: readonly string[]): Promise<void> {
		for (const [url, task] of this.group.tasks()) {
			if (urls.includes(url)) continue;
			await task.wait(); // the end of its configuration has canceled it
			this.group.delete(url);
			this.history.delete(url);
		}
	}

	/** Checks one URL again and again. */
	async #watch(url: string, { interval, retry }: Config, signal: AbortSignal): Promise<void> {
		const history = this.#historyOf(url);
		this.network.attach(signal);
		let rounds = this.#options.rounds;
		while (!signal.aborted) {
			// A new configuration cuts a round short, and so does a network that is back: then nobody waits out a delay.
			const cut = AbortSignal.any([signal, this.network.restored]);
			const task = this.#spawn(url, retry, cut);
			await task.wait();
			if (cut.aborted) continue;
			this.#record(url, task);
			if (--rounds === 0) return;
			history.nextCheckAt = Date.now() + interval;
			await sleep(interval, { signal: cut }).catch(() => {});
			history.nextCheckAt = undefined;
		}
	}

	#spawn(url: string, retry: RunnerOptions, signal: AbortSignal): GroupTask<Answer> {
		return this.group.spawn(url, (context) => check(url, context), {
			...retry,
			signal,
			ifPresent: "replace", // the configuration before may have left one that has still to stop
			onAttemptFailed: (failed) => {
				if (!signal.aborted) this.#onAttemptFailed(url, failed);
			},
		});
	}

	#onAttemptFailed(url: string, { error, attempt, again, delay }: FailedAttempt): void {
		const text = this.#historyOf(url).last = describe(error);
		if (again) this.view.note("retry", `${url} ${text} (attempt ${attempt}), again in ${inSeconds(delay)}`);
	}

	#record(url: string, { value: answer, error, attempt }: GroupTask<Answer>): void {
		const history = this.#historyOf(url);
		const outcome = answer === undefined ? "failures" : "successes";
		history[outcome]++;
		this.total[outcome]++;
		history.isUp = answer !== undefined;
		history.last = answer === undefined ? describe(error) : `${answer.status} in ${answer.duration} ms`;
		this.view.note(history.isUp ? "ok" : "failed", `${url} ${history.last} (attempt ${attempt})`);
	}

	#historyOf(url: string): History {
		const history = this.history.get(url) ?? { successes: 0, failures: 0, last: "" };
		this.history.set(url, history);
		return history;
	}

	/** Rejects and changes nothing if the configuration cannot be read. */
	async configure(text: string): Promise<void> {
		if (await this.lifecycle.configure(text) === "error") throw this.lifecycle.error;
	}

	/** Leaves nothing behind. */
	async stop(): Promise<void> {
		await this.lifecycle.stop();
		await this.group.stop();
		await this.network.wait();
	}
}

async function main(): Promise<void> {
	const options = await readArguments(process.argv.slice(2));
	if (options.isHelp) return output(usage);
	const end = new AbortController();
	whenInterrupted(end);
	const demo = options.isDemo ? await startDemo() : undefined;
	try {
		await watch({ ...options, configFile: options.configFile ?? demo?.configFile }, end);
	} finally {
		await demo?.close();
	}
}

/** Watches until `end` aborts, the time is up, or every URL has had its rounds. */
async function watch(options: Options, end: AbortController): Promise<void> {
	const watcher = new Watcher(options, () => end.abort());
	try {
		await watcher.lifecycle.start();
		const { configFile } = options;
		const follower = configFile === undefined ? await watcher.configure("{}") : await follow(configFile, watcher);
		follower?.attach(end.signal);
		await sleep(options.duration, { signal: end.signal }).catch(() => {});
		end.abort();
		await follower?.wait();
	} finally {
		await watcher.stop();
		watcher.view.close();
	}
	output(summary(watcher));
}

/** Applies the file, and resolves with a poll that applies each edit of it. To read it each time suits every editor. */
async function follow(file: string, watcher: Watcher): Promise<Intermittent> {
	let last = await readText(file);
	await watcher.configure(last).catch((error) => {
		throw new UsageError(`${file}: ${describe(error)}`);
	});
	watcher.view.note("file", `${file} can be edited: changes are applied at once`);
	const action = async () => {
		const text = await readText(file);
		if (text !== last) await watcher.configure(last = text);
	};
	let complaint: string | undefined;
	const onAttempt = (_state: PollCounts, error: unknown) => {
		const text = error === undefined ? undefined : describe(error);
		if (text !== undefined && text !== complaint) watcher.view.note("rejected", text);
		complaint = text;
	};
	return poll(action, { interval: 500, onAttempt });
}

function summary({ startedAt, total: { successes, failures } }: Watcher): string {
	const time = inSeconds(Date.now() - startedAt);
	return `Stopped after ${time}: ${count(successes + failures, "check")}, ${successes} ok, ${failures} failed.\n`;
}

try {
	await main();
} catch (error) {
	if (!(error instanceof UsageError)) throw error;
	console.error(`watch: ${error.message}`);
	process.exitCode = 2;
}
