// The part of @deno/dnt 0.43 that scripts/build_npm.ts uses. The package is only on JSR, where tools for npm cannot find it:
// with these declarations, the script can be type-checked without it.
declare module "jsr:@deno/dnt@^0.43.2" {
	export interface EntryPoint {
		kind?: "bin" | "export";
		name?: string;
		path: string;
	}

	export interface BuildOptions {
		entryPoints: (string | EntryPoint)[];
		outDir: string;
		shims: { deno?: boolean | "dev"; [name: string]: unknown };
		package: { name: string; version: string; [property: string]: unknown };
		/** Whether deno.json is looked for, or where it is. */
		configFile?: string | false;
		/** Collect the test files and run them in Node. */
		test?: boolean;
		typeCheck?: "both" | "single" | false;
		declaration?: "inline" | "separate" | false;
		scriptModule?: "cjs" | "umd" | false;
		skipSourceOutput?: boolean;
		compilerOptions?: { target?: "ES2022" | "ES2023" | "Latest"; lib?: string[]; sourceMap?: boolean | "inline" };
		postBuild?: () => void | Promise<void>;
	}

	export function build(options: BuildOptions): Promise<void>;
	export function emptyDir(folder: string): Promise<void>;
}
