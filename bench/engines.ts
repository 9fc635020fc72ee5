// Runs one case of a bundled topic in an engine, in a process of its own, which reports a few numbers.
import { join } from "node:path";
import process from "node:process";
import { execute } from "../scripts/command.ts";
import { root } from "../scripts/project.ts";
import { findBrowser } from "../scripts/test/browsers.ts";
import { runInPage } from "./page.ts";
import { type EngineName, engineNames } from "./topics.ts";

/** In milliseconds. It is much longer than any case takes. */
const timeout = 300_000;

const commands: Record<Exclude<EngineName, "chromium">, string[]> = {
	node: [process.execPath, "--no-warnings", "--expose-gc"],
	deno: [
		...[tool("deno"), "run", "--quiet", "--allow-all", "--unstable-kv"],
		...["--no-config", "--no-lock", "--v8-flags=--expose-gc"],
	],
	bun: [tool("bun"), "run"],
};

/** The installed engines. The runtimes are dependencies of the project; the browser is not. */
export function presentEngines(): EngineName[] {
	return engineNames.filter((name: EngineName) => name !== "chromium" || findBrowser(name) !== undefined);
}

/** Runs a bundle and resolves with the numbers that it reports. */
export async function runIn(engine: EngineName, bundle: string, parameters: URLSearchParams): Promise<number[]> {
	const output: string = engine === "chromium"
		? await runInPage(bundle, parameters, timeout)
		: await runInRuntime(commands[engine], bundle, parameters);
	const result: number[] = output.trim().split(" ").map(Number);
	if (output === "" || !result.every(Number.isFinite)) {
		throw new Error(`${parameters.get("case")} in ${engine}: ${output}`);
	}
	return result;
}

function runInRuntime([program, ...args]: string[], bundle: string, parameters: URLSearchParams): Promise<string> {
	// A case can use this command to start another process like itself.
	const command: [string, string] = ["command", JSON.stringify([program, ...args, bundle])];
	return execute(program!, [...args, bundle, String(new URLSearchParams([...parameters, command]))], { timeout });
}

function tool(name: string): string {
	return join(root, "node_modules", ".bin", process.platform === "win32" ? name + ".cmd" : name);
}
