// Only server processes end by themselves when nothing keeps them alive.
import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const isDeno = "Deno" in globalThis;
const library = pathToFileURL(join(process.cwd(), "mod.ts")).href;

/** Runs a program in the runtime of the test until it ends by itself, and returns its output. */
async function outputOf(program: string): Promise<string> {
	const code = `const { Group, poll, run, sleep } = await import(${JSON.stringify(library)});\n${program}`;
	const args = isDeno
		? ["eval", "--no-lock", code]
		: "Bun" in globalThis
		? ["-e", code]
		: ["--input-type=module", "-e", code];
	const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 14_000 });
	return stdout.trim();
}

const failTwice = `({ attempt }) => { if (attempt < 3) throw new Error("not yet"); return attempt; }`;

describe("a process", () => {
	test("stays alive during a delay that nobody awaits", async () => {
		expect(await outputOf(`run(${failTwice}, { attempts: 3, backoff: 20 }).then(console.log);`)).toBe("3");
		expect(
			await outputOf(`new Group().spawn("a", ${failTwice}, { attempts: 3, backoff: 20 }).result().then(console.log);`),
		)
			.toBe("3");
	});

	test("stays alive for a delay of 2^31 ms and more", async () => {
		const program = `sleep(2 ** 40).then(() => console.log("too early"));
			setTimeout(() => { console.log("alive"); process.exit(); }, 100);`;
		expect(await outputOf(`import process from "node:process";\n${program}`)).toBe("alive");
	});

	test("ends during a delay with unref: true, and waits for another one without it", async () => {
		const unref = `run(${failTwice}, { attempts: 3, backoff: 60_000, unref: true }).then(console.log);`;
		expect(await outputOf(`${unref} console.log("end");`)).toBe("end");
		expect(await outputOf(`${unref} sleep(20).then(() => console.log("slept"));`)).toBe("slept");
	});

	test("fires what is unref'd as long as something else keeps it alive", async () => {
		expect(await outputOf(`sleep(20, { unref: true }).then(() => console.log("slept")); setTimeout(() => {}, 300);`))
			.toBe("slept");
	});

	test("ends when a long timeout, delay or poll is over before its time", async () => {
		expect(await outputOf(`console.log(await run(({ signal }) => signal.aborted, { timeout: 3_600_000 }));`)).toBe(
			"false",
		);
		const aborted = `const controller = new AbortController();
			const slept = sleep(3_600_000, { signal: controller.signal }).catch(console.log);
			await poll(() => {}).attach(controller.signal);
			controller.abort("aborted");
			await slept;`;
		expect(await outputOf(aborted)).toBe("aborted");
	});
});
