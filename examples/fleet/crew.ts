/** The worker processes. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL("worker.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--allow-all", "--no-check", file] : [file];

export interface Member {
	readonly name: string;
	readonly child: ChildProcess;
	state: "works" | "was killed" | "has failed";
}

export class Crew {
	/** All workers ever started, oldest first. */
	readonly members: Member[] = [];
	kills = 0;
	readonly #url: string;

	constructor(url: string) {
		this.#url = url;
	}

	get working(): Member[] {
		return this.members.filter(({ state }) => state === "works");
	}

	hire(): void {
		const name = `worker ${this.members.length + 1}`;
		// The URL is passed in the environment, because everybody can read the arguments of a process.
		const child = spawn(process.execPath, [...prefix, name], {
			env: { ...process.env, FLEET_DATABASE: this.#url },
			stdio: ["ignore", "ignore", "inherit"],
		});
		const member: Member = { name, child, state: "works" };
		child.once("exit", (code) => member.state = code === null || code === 0 ? "was killed" : "has failed");
		this.members.push(member);
	}

	/** Kills the oldest worker without warning. */
	kill(): void {
		const [member] = this.working;
		if (member === undefined) return;
		member.state = "was killed";
		member.child.kill("SIGKILL");
		this.kills++;
	}

	/** Lets all workers finish their tasks. */
	async dismiss(): Promise<void> {
		await Promise.all(this.working.map(async ({ child }) => {
			const gone = once(child, "exit");
			if (child.exitCode === null && child.signalCode === null && child.kill("SIGTERM")) await gone;
		}));
	}
}
