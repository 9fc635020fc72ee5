// Run with `--enable-source-maps`: the frames of an error lead through the package's sources, each to the line of its call.
import { readFileSync } from "node:fs";
import { Pool } from "upkeep";
import { VirtualClock } from "upkeep/testing";

for (const fail of [() => new Pool({ createWorker() {}, max: -1 }), () => new VirtualClock({ now: "never" })]) {
	const frames = framesOf(fail).filter(({ file }) => file.includes("node_modules/upkeep/"));
	if (frames.length < 2) throw new Error(`No frames of upkeep: ${JSON.stringify(frames)}`);
	frames.forEach(({ file, line }, index) => {
		const text = readFileSync(file, "utf8").split("\n")[line - 1];
		const call = index === 0 ? "throw " : frames[index - 1].name;
		if (!file.endsWith(".ts") || !text.includes(call)) throw new Error(`${file}:${line} has no ${call}: ${text}`);
	});
}

/** The frames of the error that a function throws, innermost first. */
function framesOf(fail) {
	try {
		fail();
	} catch ({ stack }) {
		return Array.from(stack.matchAll(/at (?:new )?(\S+) \((?:file:\/\/)?(.+):(\d+):\d+\)/g), ([, name, file, line]) => {
			return { name: name.split(".").at(-1), file, line: Number(line) };
		});
	}
	throw new Error("It does not fail");
}
