// The packed npm package is well formed: publint and "are the types wrong" have no complaint, it has no dependency, it is
// small, and the sources of each source map are in it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { execute } from "./command.ts";
import { readJson, readPackage } from "./project.ts";

/** The output of `npm pack --json`. */
export interface Tarball {
	filename: string;
	/** In bytes. */
	size: number;
	unpackedSize: number;
	files: { path: string; size: number }[];
}

interface SourceMap {
	sources: string[];
	sourcesContent?: string[];
}

/** The maximum sizes of the package, in bytes. */
const limits: Pick<Tarball, "size" | "unpackedSize"> = { size: 1_600_000, unpackedSize: 6_000_000 };

export async function checkPackage(): Promise<string> {
	const folder: string = mkdtempSync(join(tmpdir(), "upkeep-pack-"));
	try {
		const tarball: Tarball = await packWhole(folder);
		await execute("publint", ["--strict", join(folder, tarball.filename)]);
		await execute("attw", ["--profile", "node16", join(folder, tarball.filename)]);
		const faults: string[] = [...dependencyFaults(), ...weightFaults(tarball), ...mapFaults(tarball)];
		if (faults.length > 0) throw new Error(faults.join("\n"));
		return `${inMegabytes(tarball.size)} packed, ${inMegabytes(tarball.unpackedSize)} unpacked`;
	} finally {
		rmSync(folder, { recursive: true });
	}
}

/** Packs the files that npm would publish, and resolves with the path of the tarball. */
export async function pack(folder: string): Promise<string> {
	return join(folder, (await packWhole(folder)).filename);
}

async function packWhole(folder: string): Promise<Tarball> {
	const output: string = await execute("npm", ["pack", "--json", "--pack-destination", folder]);
	return Object.values<Tarball>(JSON.parse(output))[0]!;
}

function dependencyFaults(): string[] {
	const dependencies: string[] = Object.keys(readPackage().dependencies ?? {});
	return dependencies.length > 0 ? [`upkeep has no runtime dependency, but now: ${dependencies}`] : [];
}

function weightFaults(tarball: Tarball): string[] {
	return (["size", "unpackedSize"] as const).filter((name) => tarball[name] > limits[name]).map((name) => {
		return `${name}: ${inMegabytes(tarball[name])} of at most ${inMegabytes(limits[name])}`;
	});
}

/** A map must not repeat the sources, and must not name a source that is not in the package. */
export function mapFaults({ files }: Pick<Tarball, "files">, read: (file: string) => SourceMap = readJson): string[] {
	const packed = new Set(files.map(({ path }) => path));
	const maps: string[] = [...packed].filter((path: string) => path.endsWith(".map"));
	return maps.flatMap((map: string) => {
		const { sources, sourcesContent } = read(map);
		const missing: string[] = sources.filter((source: string) => !packed.has(posix.join(posix.dirname(map), source)));
		return [
			...missing.map((source: string) => `${map} names ${source}, which is not in the package`),
			...(sourcesContent ? [`${map} repeats the sources`] : []),
			...(packed.has(map.slice(0, -".map".length)) ? [] : [`${map} is the map of no file in the package`]),
		];
	});
}

function inMegabytes(bytes: number): string {
	return `${(bytes / 1e6).toFixed(2)} MB`;
}
