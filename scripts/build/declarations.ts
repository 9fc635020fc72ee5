// The declarations of the ESM build export those of the CommonJS build: the package contains each declaration once, and
// the types of both builds are the same.
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
