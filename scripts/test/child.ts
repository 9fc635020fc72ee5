// Runs the program of an engine as the leader of a process group of its own, so that its pid is enough to end everything
// that it started; browsers lead their own groups and are found by the pid files that scripts/system-browser.ts leaves.
import { type ChildProcess, spawn } from "node:child_process";
import { globSync } from "node:fs";
import process from "node:process";

/** How long a program that was told to stop may take to do so, in milliseconds. */
const grace = 5000;

export interface ChildOptions {
	cwd: string;
	/** Added to the environment. */
	environment: NodeJS.ProcessEnv;
	/** Its temporary folder; also where pid files of browsers are looked for. */
	temporary: string;
	/** In milliseconds; a program that takes longer is stopped. */
	limit: number;
	/** Stops the program. */
	signal: AbortSignal;
}

export interface Outcome {
	/** Both of its streams, as they came. */
	output: string;
	/** Its exit code, or undefined if it has none. */
	code: number | undefined;
	/** Why it has no exit code: it was stopped, it crashed, or it could not be started. */
	fault: string | undefined;
}

type Ending = Omit<Outcome, "output">;

/** Never rejects: a program that cannot be started has a fault, too. */
export async function runChild(command: string[], options: ChildOptions): Promise<Outcome> {
	const { cwd, environment, temporary, limit, signal } = options;
	const env = { ...process.env, ...environment, TMPDIR: temporary };
	const [program, ...args] = command;
	const child = spawn(program!, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
	const output = collect(child);
	let late = false;
	const stop = (): void => stopGroup(child);
	const timer = setTimeout(() => (late = true, stop()), limit);
	signal.addEventListener("abort", stop, { once: true });
	const ending = await end(child);
	clearTimeout(timer);
	signal.removeEventListener("abort", stop);
	await killLeftovers(child, temporary);
	return { ...ending, ...(late ? { fault: `stopped after ${limit / 1000} s` } : {}), output: output.join("") };
}

function collect(child: ChildProcess): string[] {
	const chunks: string[] = [];
	for (const stream of [child.stdout!, child.stderr!]) {
		stream.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
	}
	return chunks;
}

/** Waits for the program itself and hardly for its streams, which a process that it left behind can hold open. */
function end(child: ChildProcess): Promise<Ending> {
	return new Promise((resolve) => {
		child.once("error", ({ message }) => resolve({ code: undefined, fault: message }));
		child.once("exit", (code, signal) => {
			const ending = { code: code ?? undefined, fault: signal === null ? undefined : `ended by ${signal}` };
			child.once("close", () => resolve(ending));
			setTimeout(resolve, 1000, ending);
		});
	});
}

function stopGroup(child: ChildProcess): void {
	signalGroup(child.pid, "SIGTERM");
	const timer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), grace);
	child.once("exit", () => clearTimeout(timer));
}

/** Workers of an engine that crashed, and the browser of a Vitest that had to be killed: whose pid its file is named by. */
async function killLeftovers(child: ChildProcess, temporary: string): Promise<void> {
	const pids = globSync("*.pid", { cwd: temporary }).map((file) => Number(/(\d+)\.pid$/.exec(file)?.[1]));
	pids.forEach((pid) => signalGroup(pid, "SIGTERM"));
	if (pids.length > 0) await new Promise((resolve) => setTimeout(resolve, 500));
	[child.pid, ...pids].forEach((pid) => signalGroup(pid, "SIGKILL"));
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
	try {
		if (pid) process.kill(-pid, signal);
	} catch {
		// Nothing of it is left.
	}
}
