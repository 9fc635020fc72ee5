// `npm run check`: checks every rule of the project that a program can check.
//
//     npm run check                     all of them
//     npm run check -- sizes docs       only these (and the build, where they need it)
//     npm run check -- readme --fix     corrects what a check can correct by itself
//     npm run check -- docs --file docs/tasks.md    only the examples of this file
import process from "node:process";
import { parseArgs } from "node:util";
import { checkConsumers } from "./consume.ts";
import { checkDeno } from "./check-deno.ts";
import { checkDocs } from "./docs.ts";
import { checkExports } from "./check-exports.ts";
import { checkGuarantees } from "./check-guarantees.ts";
import { checkLayers } from "./check-layers.ts";
import { checkPackage } from "./check-package.ts";
import { checkReadme } from "./check-readme.ts";
import { checkSideEffects } from "./check-side-effects.ts";
import { checkSizes } from "./check-sizes.ts";
import { checkSymbols } from "./check-symbols.ts";
import { checkTypes } from "./check-types.ts";
import { checkWords } from "./check-words.ts";
import { buildSite } from "./site/build.ts";
import { checkMutants } from "./mutants/apply.ts";
import { execute } from "./command.ts";
import { type EntryPoint, entryPoints } from "./project.ts";

interface Check {
	/** Whether the check reads dist/, so that the build must run before. */
	built?: true;
	/** Rejects with the faults; may resolve with a remark for the summary. */
	run: (fix: boolean) => unknown;
}

const checks: Record<string, Check> = {
	format: { run: (fix: boolean) => quietly("deno", fix ? ["fmt"] : ["fmt", "--check"]) },
	lint: { run: (fix: boolean) => quietly("deno", fix ? ["lint", "--fix"] : ["lint"]) },
	types: { run: checkTypes },
	deno: { run: checkDeno },
	jsr: { run: () => quietly("deno", ["publish", "--dry-run", "--allow-dirty"]) },
	"doc-lint": { run: () => quietly("deno", ["doc", "--lint", ...sources()]) },
	symbols: { run: checkSymbols },
	layers: { run: checkLayers },
	words: { run: checkWords },
	mutants: { run: checkMutants },
	guarantees: { run: checkGuarantees },
	build: { run: () => quietly("tsup", []) },
	exports: { built: true, run: checkExports },
	package: { built: true, run: checkPackage },
	"side-effects": { built: true, run: checkSideEffects },
	sizes: { built: true, run: checkSizes },
	readme: { built: true, run: checkReadme },
	site: { run: checkSite },
	docs: { run: () => checkDocs(files) },
	consume: { built: true, run: checkConsumers },
};

const { values: { fix, file: files = [] }, positionals } = parseArgs({
	allowPositionals: true,
	options: { fix: { type: "boolean" }, file: { type: "string", multiple: true } },
});
let failures = 0;
for (const name of chosen(positionals)) {
	if (!await holds(name, fix ?? false)) failures++;
}
if (failures > 0) console.log(`\n${failures} failed`);
process.exitCode = failures > 0 ? 1 : 0;

function chosen(names: string[]): string[] {
	const all: string[] = Object.keys(checks);
	const unknown: string | undefined = names.find((name: string) => !all.includes(name));
	if (unknown !== undefined) {
		console.error(`There is no check "${unknown}", only ${all.join(", ")}`);
		process.exit(2);
	}
	if (names.length === 0) return all;
	const build: boolean = names.some((name: string) => checks[name]!.built);
	return all.filter((name: string) => names.includes(name) || (build && name === "build"));
}

async function holds(name: string, fix: boolean): Promise<boolean> {
	const start: number = performance.now();
	const report = (sign: string, remark: unknown): void => {
		const time = `${((performance.now() - start) / 1000).toFixed(1)} s`;
		console.log(`${sign} ${name.padEnd(12)} ${time.padStart(7)}  ${remark ?? ""}`.trimEnd());
	};
	try {
		report("✓", await checks[name]!.run(fix));
		return true;
	} catch (error) {
		report("✗", `\n${error instanceof Error ? error.message : error}`.replace(/\n/g, "\n    "));
		return false;
	}
}

async function checkSite(): Promise<string> {
	const { pages, links } = await buildSite("site");
	return `${pages} pages, ${links} links`;
}

async function quietly(program: string, args: string[]): Promise<void> {
	await execute(program, args);
}

function sources(): string[] {
	return entryPoints().map(({ source }: EntryPoint) => source);
}
