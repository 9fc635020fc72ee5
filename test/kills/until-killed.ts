// The life of a process that is killed: it says when it works, and ends with its parent.
import process from "node:process";

/** A basket or a processor. */
interface Working {
	subscribe(listener: () => void): () => void;
	getSnapshot(): { readonly state: string };
	run(): Promise<void>;
}

/** Works until the process is killed. Says `ready` as soon as it runs. */
export async function workUntilKilled(working: Working): Promise<void> {
	const stopTelling = working.subscribe(() => {
		if (working.getSnapshot().state !== "running") return;
		stopTelling();
		console.log("ready");
	});
	// Exits if the parent is killed.
	process.stdin.on("end", () => process.exit()).resume();
	await working.run();
}
