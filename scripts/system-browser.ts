// A Vitest browser provider for the browsers installed on the machine: no driver and no download. It opens the page that
// Vitest serves in a new process with an empty profile; Vitest talks to that page over its own web socket. Use Playwright's
// provider instead if tests ever need real clicks.
import type { BrowserProvider, BrowserProviderOption, TestProject } from "vitest/node";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import { defineBrowserProvider } from "@vitest/browser";
import { type BrowserName, browsers, displayServer, findBrowser } from "./test/browsers.ts";

/** How long a program may take to end by itself before it is killed, in milliseconds. */
const grace = 5000;

/** Programs started for one page, in order. Each leads a process group, so that its pid stops its helpers as well. */
interface Opened {
	children: ChildProcess[];
	/** Everything that they write. */
	folder: string;
}

interface StartOptions {
	/** Added to the environment. */
	environment?: NodeJS.ProcessEnv;
	/** What its descriptors from 3 on are. */
	descriptors?: "pipe"[];
}

export function systemBrowser(): BrowserProviderOption {
	return defineBrowserProvider({
		name: "system",
		supportedBrowser: Object.keys(browsers),
		providerFactory: createProvider,
	});
}

function createProvider(project: TestProject): BrowserProvider {
	const all = new Set<Opened>();
	// On an interrupt Vitest calls process.exit() without close(); a closed terminal does not even do that.
	process.once("exit", () => killNow([...all]));
	process.once("SIGHUP", () => process.exit(129));
	project.browser!.registerCommand("__vitest_viewport" as never, (() => {}) as never); // windows are not resized
	return {
		name: "system",
		supportsParallelism: false,
		getCommandsContext: () => ({}),
		openPage: async (_session, url) => {
			const opened: Opened = { children: [], folder: mkdtempSync(join(tmpdir(), "browser-")) };
			all.add(opened);
			await open(opened, project.config.browser.name as BrowserName, url);
		},
		close: async () => {
			await Promise.all([...all].map(stop));
			all.clear();
		},
	};
}

async function open(opened: Opened, name: BrowserName, url: string): Promise<void> {
	const { variable, windowed, command } = browsers[name];
	const executable = findBrowser(name);
	if (executable === undefined) throw new Error(`${name} not found: install it or set ${variable}`);
	const display = windowed ? await openDisplay(opened) : undefined;
	const environment = display === undefined ? {} : { DISPLAY: display };
	await start(opened, command(executable, opened.folder, url), { environment });
}

async function openDisplay(opened: Opened): Promise<string> {
	const server = await start(opened, [...displayServer], { descriptors: ["pipe"] });
	const output = (server.stdio[3] as Readable).setEncoding("utf8");
	const number = await new Promise<string>((resolve, reject) => {
		output.once("data", resolve);
		server.once("exit", () => reject(new Error("the X server has ended before it had a display")));
	});
	return `:${number.trim()}`;
}

async function start(opened: Opened, command: string[], options: StartOptions): Promise<ChildProcess> {
	const { environment, descriptors = [] } = options;
	const [program, ...flags] = command;
	const env = { ...process.env, ...homeIn(opened.folder), ...environment };
	const child = spawn(program!, flags, { detached: true, stdio: ["ignore", "ignore", "ignore", ...descriptors], env });
	await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
	opened.children.push(child);
	writeFileSync(pidFile(opened.folder, child.pid!), ""); // for whoever kills this process instead of stopping it
	return child;
}

function homeIn(folder: string): NodeJS.ProcessEnv {
	const variables = ["HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"];
	return Object.fromEntries(variables.map((variable) => [variable, folder]));
}

/** The browser first, then the X server under it, which has a lock to remove. */
async function stop({ children, folder }: Opened): Promise<void> {
	for (const child of children.toReversed()) await end(child);
	remove(folder, children);
}

async function end(child: ChildProcess): Promise<void> {
	if (child.exitCode === null && child.signalCode === null) {
		const gone = new Promise((resolve) => child.once("exit", resolve));
		signalGroup(child, "SIGTERM");
		const timer = setTimeout(() => signalGroup(child, "SIGKILL"), grace);
		await gone;
		clearTimeout(timer);
	}
	signalGroup(child, "SIGKILL"); // helpers that outlived it
}

/** While the process exits nothing can be awaited: a moment for locks to be removed, then the end. */
function killNow(all: readonly Opened[]): void {
	if (all.length === 0) return;
	const children = all.flatMap((opened) => opened.children);
	children.forEach((child) => signalGroup(child, "SIGTERM"));
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
	children.forEach((child) => signalGroup(child, "SIGKILL"));
	all.forEach((opened) => remove(opened.folder, opened.children));
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
	try {
		process.kill(-child.pid!, signal);
	} catch {
		// Nothing of it is left.
	}
}

function remove(folder: string, children: readonly ChildProcess[]): void {
	rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
	for (const child of children) rmSync(pidFile(folder, child.pid!), { force: true });
}

/** Beside the folder, because a browser may take away what it does not know in its profile. */
function pidFile(folder: string, pid: number): string {
	return `${folder}.${pid}.pid`;
}
