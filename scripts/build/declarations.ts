// The declarations of the ESM build say that they are those of the CommonJS build: one text for two, and one identity, so
// that what one build makes can be given to the other.
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { entryPoints } from "../project.ts";

/** Writes `x.d.ts` for each entry point whose `x.d.cts` is built. */
export async function declareModules(folder: string): Promise<void> {
	for (const { output } of entryPoints()) {
		const file: string = join(folder, `${output}.d.ts`);
		await mkdir(dirname(file), { recursive: true });
		await writeFile(file, `export * from "./${basename(output)}.cjs";\n`);
	}
}
