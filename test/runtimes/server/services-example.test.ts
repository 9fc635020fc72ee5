// The example of services over HTTP as a separate process, in the runtime of the test.
import { afterEach, describe, expect, test } from "vitest";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL("../../../examples/services.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock", "--no-check", file] : [file];
/** The tests do not wait for times, but a busy machine may be slow. */
const timeout = 30_000;
let child: ChildProcess | undefined;

afterEach(() => void child?.kill("SIGKILL"));

/** Starts the example; `printed` resolves with the first match of what it prints. */
function start(args: string[]) {
	const running = child = spawn(process.execPath, [...prefix, "--port", "0", ...args]);
	const output = { text: "", errors: "" };
	let onText = () => {};
	running.stdout!.setEncoding("utf8").on("data", (text: string) => {
		output.text += text;
		onText();
	});
	running.stderr!.setEncoding("utf8").on("data", (text: string) => output.errors += text);
	const ended = once(running, "close").then(([code, signal]) => signal ?? code);
	const printed = async (pattern: RegExp): Promise<string> => {
		while (!pattern.test(output.text)) {
			const text = new Promise<void>((resolve) => onText = resolve);
			const isOver = await Promise.race([text.then(() => false), ended.then(() => true)]);
			if (isOver && !pattern.test(output.text)) throw new Error(`${pattern}: ${output.text}\n${output.errors}`);
		}
		return pattern.exec(output.text)![1]!;
	};
	return { output, ended, printed, interrupt: () => process.kill(running.pid!, "SIGINT") };
}

describe("examples/services.ts", () => {
	// A process on Windows cannot send a signal that another process can handle.
	test.skipIf(process.platform === "win32")(
		"does what its header says, and ends at an interrupt with nothing left",
		async () => {
			const example = start(["--token", "t"]);
			const url = await example.printed(/Listening on (\S+)\n/);
			const headers = { authorization: "Bearer t", "content-type": "application/json" };
			const call = async (method: string, path: string, body?: unknown) => {
				const response = await fetch(url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
				return [response.status, response.status === 204 ? undefined : await response.json()];
			};
			expect((await fetch(url)).status).toBe(403);
			const { services } = (await call("GET", ""))[1];
			expect(services.map(({ id, state }: Record<string, string>) => `${id} ${state}`)).toEqual([
				"backup active",
				"uptime active",
			]);
			const stream = await fetch(url, { headers: { ...headers, accept: "text/event-stream" } });
			const reader = stream.body!.getReader();
			expect((await reader.read()).done).toBe(false);

			const copy = await example.printed(/backup: (\S+)\n/);
			expect((await stat(copy)).size).toBeGreaterThan(0);
			await example.printed(/(uptime: \S+: 403)\n/);
			expect(await call("PUT", "/uptime/config", { url: "http://127.0.0.1:1" })).toMatchObject([200, {
				state: "active",
			}]);
			await example.printed(/(uptime: \S+: no answer)\n/);
			expect(await call("PUT", "/uptime/config", { url: "http://127.0.0.1:1", interval: "often" }))
				.toMatchObject([400, { detail: expect.stringContaining(`"interval" must be`) }]);
			expect(await call("PUT", "/backup/config", { from: "no/such/file", to: "." })).toMatchObject([200, {
				state: "error",
			}]);
			expect(await call("POST", "/backup/stop")).toMatchObject([200, { state: "inactive" }]);
			const self = { id: "self", kind: "uptime", config: { url } };
			expect(await call("POST", "", self)).toMatchObject([201, { id: "self", state: "active" }]);
			expect(await call("DELETE", "/self")).toEqual([204, undefined]);

			example.interrupt();
			expect(await example.ended).toBe(0);
			// Deno prints this notice once, on the first listener of a request signal.
			expect(example.output.errors.replace(/^Deno\.serve: request\.signal aborts on .*\n/, "")).toBe("");
			expect(example.output.text).toMatch(/Stopped\n$/);
			await expect(stat(dirname(copy))).rejects.toThrow("ENOENT");
		},
		timeout,
	);
});
