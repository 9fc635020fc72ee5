// The maps of entry points agree. Only the `exports` of deno.json are written by hand; the `exports` of package.json
// (`--fix` writes them), the `imports` of deno.json and the files of dist/ follow from them.
import { existsSync, statSync, writeFileSync } from "node:fs";
import { type DenoManifest, type EntryPoint, entryPoints, minified, programs } from "./project.ts";
import { type PackageManifest, readDeno, readPackage } from "./project.ts";

interface Target {
	types: string;
	default: string;
}

// The files that the source maps point at, the files that npm does not add by itself, and the files that JSR needs.
const shipped: string[] = ["bin", "dist", "src", "mod.ts", "CHANGELOG.md"];
const published: string[] = ["mod.ts", "src", "README.md", "CHANGELOG.md", "LICENSE", "deno.json"];

export function checkExports(fix: boolean): void {
	if (fix) {
		writeFileSync("package.json", JSON.stringify({ ...readPackage(), exports: npmExports() }, null, "\t") + "\n");
	}
	const faults: string[] = [...mapFaults(readPackage(), readDeno()), ...fileFaults(readPackage(), readDeno())];
	if (faults.length > 0) throw new Error(faults.join("\n"));
}

function npmExports(): Record<string, unknown> {
	const entries = entryPoints().map(({ subpath, output }: EntryPoint) => [subpath, {
		import: target(output, ".d.ts", ".js"),
		require: target(output, ".d.cts", ".cjs"),
	}]);
	return { ...Object.fromEntries(entries), "./package.json": "./package.json" };
}

// "types" comes first, because the first matching condition counts.
function target(output: string, types: string, code: string): Target {
	return { types: `./dist/${output}${types}`, default: `./dist/${output}${code}` };
}

function mapFaults(npm: PackageManifest, deno: DenoManifest): string[] {
	const expected: Record<string, unknown> = npmExports();
	const main: string[] = ["./dist/index.cjs", "./dist/index.js", "./dist/index.d.ts"];
	return [
		...fault(npm.version !== deno.version, `versions: ${npm.version} in package.json, ${deno.version} in deno.json`),
		...fault(!same(npm.exports, expected), "package.json: exports differ from deno.json's (--fix writes them)"),
		...fault(!same([npm.main, npm.module, npm.types], main), `package.json: main, module and types must be ${main}`),
		...fault(npm.sideEffects !== false, "package.json: sideEffects must be false"),
		...entryPoints().filter(({ specifier, source }: EntryPoint) => deno.imports[specifier] !== source)
			.map(({ specifier, source }: EntryPoint) => `deno.json: imports needs "${specifier}": "${source}"`),
	];
}

function fileFaults(npm: PackageManifest, deno: DenoManifest): string[] {
	const outputs: string[] = entryPoints().flatMap(({ output }: EntryPoint) =>
		[".js", ".cjs", ".d.ts", ".d.cts", ".js.map"].map((extension: string) => `dist/${output}${extension}`)
	);
	const commands: string[] = programs().map(({ output }: EntryPoint) => `dist/${output}.js`);
	const needed: string[] = [
		...outputs,
		...commands,
		`dist/${minified}.js`,
		...shipped,
		...published,
	];
	return [
		...[...new Set(needed)].filter((file: string) => !existsSync(file)).map((file: string) => `${file} is missing`),
		...commandFaults(npm),
		...without(npm.files, shipped).map((file: string) => `package.json: files needs "${file}"`),
		...without(deno.publish.include, published).map((file: string) => `deno.json: publish.include needs "${file}"`),
	];
}

/** A command starts the built program, or in a clone the sources. npm makes it executable in a package, Git in a clone. */
function commandFaults({ bin }: PackageManifest): string[] {
	return Object.values(bin).flatMap((file: string) => [
		...fault(!existsSync(file), `package.json: bin names ${file}, which is missing`),
		...fault(existsSync(file) && (statSync(file).mode & 0o111) === 0, `${file} is not executable`),
	]);
}

// Compared as text, because the order of conditions matters.
function same(one: unknown, other: unknown): boolean {
	return JSON.stringify(one) === JSON.stringify(other);
}

function fault(wrong: boolean, message: string): string[] {
	return wrong ? [message] : [];
}

function without(list: string[], needed: string[]): string[] {
	return needed.filter((file: string) => !list.includes(file));
}
