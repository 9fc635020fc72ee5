// The packed npm package is well formed: nothing that publint or "are the types wrong" complains of, no dependency.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execute } from "./command.ts";
import { readPackage } from "./project.ts";

export async function checkPackage(): Promise<void> {
	const folder: string = mkdtempSync(join(tmpdir(), "upkeep-pack-"));
	try {
		const tarball: string = await pack(folder);
		await execute("publint", ["--strict", tarball]);
		await execute("attw", ["--profile", "node16", tarball]);
	} finally {
		rmSync(folder, { recursive: true });
	}
	const dependencies: string[] = Object.keys(readPackage().dependencies ?? {});
	if (dependencies.length > 0) throw new Error(`upkeep has no runtime dependency, but now: ${dependencies}`);
}

/** Packs what npm would publish, and resolves with the tarball's path. */
export async function pack(folder: string): Promise<string> {
	const output: string = await execute("npm", ["pack", "--silent", "--pack-destination", folder]);
	return join(folder, output.trim().split("\n").at(-1)!);
}
