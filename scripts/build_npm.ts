// The npm package built with dnt, for a release machine that has only Deno; otherwise `npm run build` makes it.
//
//     deno run -A scripts/build_npm.ts     writes npm/
// deno-lint-ignore no-import-prefix -- an import in deno.json would make every Deno command look for it
import { build, emptyDir } from "jsr:@deno/dnt@^0.43.2";
import { copyFileSync } from "node:fs";
import { type EntryPoint, entryPoints, type PackageManifest, programs, readPackage } from "./project.ts";

const folder = "npm";
const { name, version, description, license, engines, sideEffects }: PackageManifest = readPackage();

await emptyDir(folder);
await build({
	entryPoints: [
		...entryPoints().map(({ subpath, source }: EntryPoint) => ({ name: subpath, path: source })),
		...programs().map(({ source }: EntryPoint) => ({ kind: "bin" as const, name, path: source })),
	],
	outDir: folder,
	shims: {}, // the sources use what every runtime has
	test: false, // `npm test` runs the suite, in more runtimes
	typeCheck: "both",
	compilerOptions: { target: "ES2022", lib: ["ES2023", "ESNext.Disposable", "DOM", "DOM.Iterable"] },
	package: { name, version, description, license, engines, sideEffects },
	postBuild: () => ["README.md", "CHANGELOG.md", "LICENSE"].forEach((file) => copyFileSync(file, `${folder}/${file}`)),
});
