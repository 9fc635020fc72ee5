// `node scripts/mutants.ts`: checks that the tests find mistakes. Each mutant is one mistake in the sources; the simulation or
// the named test must fail because of it.
//
//     node scripts/mutants.ts                  all of them, in a temporary copy of the tree
//     node scripts/mutants.ts expiry           those whose name has this word
//     node scripts/mutants.ts --seeds 2000     with more seeds for each, 600 otherwise
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { checkMutants, mutate } from "./mutants/apply.ts";
import { type Mutant, mutants } from "./mutants/list.ts";
import { root } from "./project.ts";

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: { seeds: { type: "string", default: "600" } },
});
const chosen: readonly Mutant[] = mutants.filter(({ name }) => positionals.every((word) => name.includes(word)));
/** A mutant that takes longer than this is caught, too: it causes an endless loop. */
const limit = 120_000;

const copy: string = mkdtempSync(join(tmpdir(), "upkeep-mutants-"));
for (
	const name of [
		"src",
		"test",
		"scripts",
		"mod.ts",
		"package.json",
		"tsconfig.json",
		"tsconfig.test.json",
		"vitest.config.ts",
	]
) {
	cpSync(join(root, name), join(copy, name), { recursive: true });
}
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
const survivors: string[] = [];
try {
	checkMutants();
	if (await fails(["scripts/simulate.ts", "--seeds", "50"])) throw new Error("The simulation fails without any mutant");
	for (const mutant of chosen) {
		const since: number = performance.now();
		const isCaught: boolean = await isCaughtBy(mutant);
		if (!isCaught) survivors.push(mutant.name);
		const seconds: string = ((performance.now() - since) / 1000).toFixed(1);
		console.log(`${isCaught ? "caught  " : "SURVIVED"} ${seconds.padStart(6)} s  ${mutant.name}`);
	}
} finally {
	rmSync(copy, { recursive: true });
}
console.log(`${chosen.length - survivors.length} of ${chosen.length} mutants caught`);
if (survivors.length > 0) process.exitCode = 1;

async function isCaughtBy(mutant: Mutant): Promise<boolean> {
	const { file, jobs = false, trees = false, test } = mutant;
	const path: string = join(copy, file);
	const source: string = readFileSync(path, "utf8");
	writeFileSync(path, mutate(copy, mutant));
	try {
		if (test !== undefined) return await fails(["node_modules/vitest/vitest.mjs", "run", "--project", "node", test]);
		return await fails([
			"scripts/simulate.ts",
			"--seeds",
			values.seeds,
			...(jobs ? ["--jobs"] : trees ? ["--trees"] : []),
		]);
	} finally {
		writeFileSync(path, source);
	}
}

function fails(args: readonly string[]): Promise<boolean> {
	return new Promise((resolve) => {
		const child = spawn(process.execPath, args, { cwd: copy, stdio: "ignore", timeout: limit, killSignal: "SIGKILL" });
		child.on("exit", (code) => resolve(code !== 0));
	});
}
