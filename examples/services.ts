/**
 * Two services that are operated over HTTP: `uptime` requests a URL repeatedly, `backup` copies a file. Run it with
 * `node examples/services.ts`, `deno run -A examples/services.ts` or `bun examples/services.ts`; `--port` and
 * `--token` are 8080 and "secret" unless given. Ctrl-C ends it.
 *
 *     alias call='curl -H "Authorization: Bearer secret" -H "Content-Type: application/json"'
 *     url=http://127.0.0.1:8080/services
 *
 *     call $url                                                           # both services and their states
 *     call -N -H "Accept: text/event-stream" $url                         # each change, as it happens
 *     call -X PUT -d '{ "url": "http://127.0.0.1:1", "interval": 1 }' $url/uptime/config
 *     call -X POST $url/backup/stop
 *     call -X POST $url/backup/start                                      # with the same configuration
 *     call -X PUT -d '{ "from": "no/such/file", "to": "/tmp" }' $url/backup/config    # the state is "error"
 *     call -X PUT -d '{ "interval": "often" }' $url/uptime/config                     # 400, and nothing changes
 *     call -d '{ "id": "self", "kind": "uptime", "config": { "url": "http://127.0.0.1:8080" } }' $url
 *     call -X DELETE $url/self
 *
 * What the library does here: each service is a `Lifecycle`, so that a new configuration replaces the previous one;
 * `Services` is the registry; `servicesHandler` is the HTTP interface. Node has no server for such a handler:
 * shared/serve.ts is the adapter.
 */

import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type FailedAttempt, Lifecycle, poll, run, Services, sleep } from "../mod.ts"; // elsewhere: from "upkeep"
import { servicesHandler } from "../src/http/http.ts"; // elsewhere: from "upkeep/http"
import { serve } from "./shared/serve.ts";

interface Uptime {
	url: string;
	/** In seconds. */
	interval: number;
}

interface Backup {
	from: string;
	/** A folder. */
	to: string;
	/** In seconds. */
	interval: number;
}

/** Requests a URL and reports when the response changes. */
function uptime(id: string): Lifecycle<Uptime> {
	return new Lifecycle(async ({ url, interval }, { signal }) => {
		let last = "";
		const ask = poll(async (signal) => {
			const outcome = await fetch(url, { signal }).then(({ status }) => `${status}`, () => "no answer");
			if (outcome !== last && !signal.aborted) console.log(`${id}: ${url}: ${outcome}`);
			last = outcome;
		}, { interval: interval * 1_000 });
		await ask.attach(signal); // it ends with this configuration
	}, { readConfig: (data) => ({ url: text(data, "url"), interval: seconds(data, 10) }) });
}

/** Copies a file. The first copy is part of applying the configuration: if it fails, the state is "error". */
function backup(id: string): Lifecycle<Backup> {
	return new Lifecycle(async ({ from, to, interval }, { signal }) => {
		let count = 0;
		const copy = async () => {
			const name = join(to, `${basename(from)}.${count++ % 3}`); // three copies, the oldest is replaced
			await copyFile(from, name);
			console.log(`${id}: ${name}`);
		};
		await copy();
		const onAttemptFailed = ({ error }: FailedAttempt) => {
			if (!signal.aborted) console.log(`${id}: ${error}`);
		};
		// In the background, until this configuration ends.
		run(async () => {
			for (;; await copy()) await sleep(interval * 1_000, { signal });
		}, { signal, attempts: Infinity, backoff: interval * 1_000, onAttemptFailed }).catch(() => {});
	}, {
		readConfig: (data) => ({ from: text(data, "from"), to: text(data, "to"), interval: seconds(data, 60) }),
	});
}

function text(data: unknown, name: string): string {
	const value = Object(data)[name];
	if (typeof value !== "string" || value === "") throw new TypeError(`"${name}" must be a text`);
	return value;
}

function seconds(data: unknown, usual: number): number {
	const { interval = usual } = Object(data);
	if (!(typeof interval === "number" && interval > 0)) throw new TypeError(`"interval" must be a number above 0`);
	return interval;
}

const { values } = parseArgs({ options: { port: { type: "string" }, token: { type: "string" } } });
const { port = "8080", token = "secret" } = values;

const services = new Services({ kinds: { uptime, backup }, ids: "kind" });
const server = await serve(
	servicesHandler(services, {
		authorize: ({ headers }) => headers.get("authorization") === `Bearer ${token}`,
		onError: console.error,
	}),
	Number(port),
);
const url = `http://127.0.0.1:${server.port}/services`;
const folder = await mkdtemp(join(tmpdir(), "services-"));
await services.create({ kind: "uptime", config: { url, interval: 5 } });
await services.create({ kind: "backup", config: { from: fileURLToPath(import.meta.url), to: folder, interval: 60 } });
console.log(`Listening on ${url}`);

await new Promise<void>((resolve) => {
	for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
});
await services.stop();
await server.close();
await rm(folder, { recursive: true, force: true });
console.log("Stopped");
