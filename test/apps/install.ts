// Installs an application of examples/apps/ in a folder of its own, as a user would, but without a registry: the packages that
// its package.json names are links to those of the project, and "upkeep" is the sources of the project.
import { cp, mkdir, mkdtemp, readFile, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "../../scripts/test/engines.ts";

interface Manifest {
	dependencies?: Record<string, string>;
	devDependencies?: Record<string, string>;
}

/** Resolves with the folder. A package that package.json does not name cannot be imported there. */
export async function install(name: string): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), `upkeep-${name}-`));
	const source = join(root, "examples/apps", name);
	await cp(source, folder, { recursive: true, filter: (path) => !/node_modules|dist/.test(path.slice(source.length)) });
	const { dependencies, devDependencies } = JSON.parse(
		await readFile(join(folder, "package.json"), "utf8"),
	) as Manifest;
	for (const dependency of Object.keys({ ...dependencies, ...devDependencies })) {
		const path = join(folder, "node_modules", dependency);
		await mkdir(dirname(path), { recursive: true });
		await (dependency === "upkeep" ? linkSources(path) : symlink(join(root, "node_modules", dependency), path));
	}
	return folder;
}

async function linkSources(folder: string): Promise<void> {
	await mkdir(folder);
	for (const part of ["mod.ts", "src"]) await symlink(join(root, part), join(folder, part));
	const { exports } = JSON.parse(await readFile(join(root, "deno.json"), "utf8"));
	const manifest = { name: "upkeep", type: "module", sideEffects: false, exports };
	await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
}
