// Tests the documentation: type-checks each ```ts block and executes it in Node, Deno and Bun, from the sources.
//
// Each block runs in a process of its own, so that it shares no state with another and must end by itself.
// Blocks are written to .docs/ at the line they have in their own file: an error names the right line. Requests to
// https://api.example.com are answered without a network.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { bundleForPage, hasBrowser, runInPage } from "./page.ts";
import { execute } from "./command.ts";
import { type Block, findBlocks, type Place } from "./docs-blocks.ts";
import { readDeno, readPackage, root } from "./project.ts";

interface Run {
	block: Block;
	engine: string;
	start: () => Promise<unknown>;
}

const folder = ".docs";
const timeLimit = 20_000;

// Bun's own names have no types here, so errors about them are ignored.
const bunTypes = `declare const Bun: any;\ndeclare module "bun:*";\n`;

const engines: Record<Place, string[]> = {
	everywhere: ["node", "deno", "bun"],
	node: ["node"],
	deno: ["deno"],
	bun: ["bun"],
	browser: ["browser"],
	"no-run": [],
};

const commands: Record<string, string[]> = {
	node: ["node"],
	deno: ["deno", "run", "--allow-all", "--unstable-kv", "--no-check", "--quiet"],
	bun: ["bun", "run"],
};

/** Type-checks and runs all blocks, or those of the given files; rejects with their failures. */
export async function checkDocs(files: string[] = []): Promise<string> {
	const blocks: Block[] = findBlocks().filter(({ file }: Block) => files.length === 0 || files.includes(file));
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(folder);
	for (const block of blocks) writeFileSync(pathOf(block), moduleOf(block));
	report(await checkTypes(blocks)); // what does not compile need not be run
	const runs: Run[] = blocks.flatMap(runsOf).filter(({ engine }: Run) => engine !== "browser" || hasBrowser());
	report(await runAll(runs));
	return `${blocks.length} blocks, ${runs.length} runs`;
}

function pathOf({ file, line }: Block): string {
	return `${folder}/${file.replaceAll("/", "__")}__${line}.ts`;
}

/** Replaces `.docs/src__group.ts__12.ts` in the output of a program by `src/group/group.ts`. */
function withSources(output: string): string {
	return output.replace(/[^\s("']*\.docs\/([\w.-]+?)__\d+\.ts/g, (_, name: string) => name.replaceAll("__", "/"));
}

// Imports are rewritten instead of mapped, because Node would resolve the name of the package to the built files.
function moduleOf({ file, line, code }: Block): string {
	const names: string = [readPackage().name, readDeno().name].join("|");
	const specifier = new RegExp(`(\\b(?:from|import)[\\s(]*)"(?:jsr:|npm:)?(?:${names})(?:@[^/"]+)?((?:/[^"]+)?)"`, "g");
	const rewritten: string = code.replace(specifier, (_, before: string, path: string) => {
		const source: string | undefined = readDeno().exports[`.${path}`];
		if (source === undefined) throw new Error(`${file}:${line}: there is no entry point ".${path}"`);
		return `${before}"../${source.slice(2)}"`;
	});
	const network: string = code.includes("https://api.example.com") ? `import "../scripts/docs-network.ts";` : "";
	return network + "\n".repeat(line) + rewritten + "\n";
}

async function checkTypes(blocks: Block[]): Promise<string[]> {
	const forDeno: string[] = blocks.filter(({ place }: Block) => place === "deno").map(pathOf);
	const others: string[] = blocks.map(pathOf).filter((path: string) => !forDeno.includes(path));
	writeFileSync(`${folder}/bun.d.ts`, bunTypes);
	writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(compilerConfig(others)));
	const checks: Promise<unknown>[] = [execute("tsc", ["-p", folder])];
	if (forDeno.length > 0) checks.push(execute("deno", ["check", "--quiet", "--unstable-kv", ...forDeno]));
	return (await Promise.allSettled(checks)).flatMap(failureOf).map(withSources);
}

function compilerConfig(files: string[]): object {
	return {
		extends: "../tsconfig.json",
		compilerOptions: { isolatedDeclarations: false, declaration: false, moduleDetection: "force", types: ["node"] },
		include: ["bun.d.ts"],
		files: files.map((path: string) => path.slice(folder.length + 1)),
	};
}

function runsOf(block: Block): Run[] {
	return engines[block.place].map((engine: string): Run => ({
		block,
		engine,
		start: () => engine === "browser" ? startInBrowser(block) : startIn(engine, block),
	}));
}

async function startIn(engine: string, block: Block): Promise<void> {
	const [program, ...args] = commands[engine]!;
	// Each block has its own folder for the files that it creates.
	const cwd: string = mkdtempSync(join(folder, "run-"));
	const output: string = await execute(program!, [...args, join(root, pathOf(block))], { cwd, timeout: timeLimit });
	checkOutput(block, output);
}

/** Compares what a block prints with its comments `// → …`, one for each line, if it has any. */
function checkOutput({ code }: Block, output: string): void {
	const shown: string = Array.from(code.matchAll(/\/\/ → (.*)$/gm), ([, text]) => text).join("\n");
	if (shown !== "" && shown !== output.trim()) throw new Error(`It prints\n${output.trim()}\nand not\n${shown}`);
}

async function startInBrowser(block: Block): Promise<void> {
	await runInPage({ "/main.js": await bundleForPage(pathOf(block)) }, timeLimit);
}

async function runAll(runs: Run[]): Promise<string[]> {
	const failures: string[] = [];
	const queue: Iterator<Run> = runs.values();
	const worker = async (): Promise<void> => {
		for (let next = queue.next(); !next.done; next = queue.next()) failures.push(...await failuresOf(next.value));
	};
	await Promise.all(Array.from({ length: availableParallelism() }, worker));
	return failures;
}

async function failuresOf({ block, engine, start }: Run): Promise<string[]> {
	const [outcome] = await Promise.allSettled([start()]);
	const title = `${block.file}:${block.line} in ${engine}: `;
	return failureOf(outcome).map((message: string) => title + withSources(message));
}

function report(failures: string[]): void {
	if (failures.length > 0) throw new Error(failures.join("\n\n"));
}

function failureOf(outcome: PromiseSettledResult<unknown>): string[] {
	return outcome.status === "rejected" ? [String(outcome.reason?.message ?? outcome.reason)] : [];
}
