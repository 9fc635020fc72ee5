// Whoever imports the sources by path has Deno check them with its own types, which have no DOM: each entry point must
// compile so. Only that of IndexedDB needs the DOM, since its arguments are the DOM's own objects.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execute } from "./command.ts";
import { type EntryPoint, entryPoints, root } from "./project.ts";

const needsDom: RegExp = /indexeddb/;

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
