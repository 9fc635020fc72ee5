/** Converts TypeScript to JavaScript for browsers, if possible with the runtime's own function. */

import module from "node:module";
import process from "node:process";

type Strip = (text: string) => string | Promise<string>;

/** The part of Bun that is used here. */
interface Bun {
	readonly Transpiler: new (options: object) => { transformSync(text: string): string };
}

/** Removes the types from a module. Imports of values stay. */
export const stripTypes: Strip = "Bun" in globalThis
	? stripInBun
	: typeof module.stripTypeScriptTypes === "function"
	? stripInNode
	: stripInOldNode;

/** Deno has this, too. */
function stripInNode(text: string): string {
	const { emitWarning } = process;
	try {
		process.emitWarning = () => {}; // Node warns that the function is experimental
		return module.stripTypeScriptTypes(text);
	} finally {
		process.emitWarning = emitWarning;
	}
}

function stripInBun(text: string): string {
	const { Transpiler } = (globalThis as unknown as { Bun: Bun }).Bun;
	return new Transpiler({ loader: "ts" }).transformSync(text);
}

/** `scripts/run.mjs` has fetched the package. */
async function stripInOldNode(text: string): Promise<string> {
	const { transform } = await import("esbuild");
	const tsconfigRaw = { compilerOptions: { verbatimModuleSyntax: true } };
	return (await transform(text, { loader: "ts", target: "es2022", tsconfigRaw })).code;
}
