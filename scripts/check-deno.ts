// Deno checks sources that are imported by path with its own types, which lack the DOM, so each entry point must compile
// without the DOM. The exceptions are the IndexedDB store, whose arguments are objects of the DOM, and the inspector, which is an
// element.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execute } from "./command.ts";
import { type EntryPoint, entryPoints, root } from "./project.ts";

const needsDom: RegExp = /indexeddb|inspector/;

export async function checkDeno(): Promise<string> {
	const files: string[] = entryPoints().map(({ source }: EntryPoint) => source).filter((file) => !needsDom.test(file));
	const folder: string = mkdtempSync(join(tmpdir(), "upkeep-deno-"));
	try {
		writeFileSync(join(folder, "deno.json"), "{}");
		const imports = files.map((file) => `import ${JSON.stringify(pathToFileURL(join(root, file)).href)};\n`);
		writeFileSync(join(folder, "program.ts"), imports.join(""));
		await execute("deno", ["check", "--quiet", "--unstable-kv", "program.ts"], { cwd: folder });
	} finally {
		rmSync(folder, { recursive: true });
	}
	return `${files.length} entry points`;
}
