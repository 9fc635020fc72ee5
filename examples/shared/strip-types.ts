/** What makes TypeScript of a source that a browser can run: the runtime itself, wherever it can. */

import module from "node:module";
import process from "node:process";

type Strip = (text: string) => string | Promise<string>;

/** What only Bun has. */
interface Bun {
	readonly Transpiler: new (options: object) => { transformSync(text: string): string };
}

/** Takes the types out of a module. What it imports as a value stays imported, under the same name. */
export const stripTypes: Strip = "Bun" in globalThis
	? stripInBun
	: typeof module.stripTypeScriptTypes === "function"
	? stripInNode
	: stripInOldNode;

/** Deno has this, too. */
function stripInNode(text: string): string {
	const { emitWarning } = process;
	try {
		process.emitWarning = () => {}; // that it is experimental
		return module.stripTypeScriptTypes(text);
	} finally {
		process.emitWarning = emitWarning;
	}
}

function stripInBun(text: string): string {
	const { Transpiler } = (globalThis as unknown as { Bun: Bun }).Bun;
	return new Transpiler({ loader: "ts" }).transformSync(text);
}

/** `scripts/run.mjs` has fetched what this needs. */
async function stripInOldNode(text: string): Promise<string> {
	const { transform } = await import("esbuild");
	const tsconfigRaw = { compilerOptions: { verbatimModuleSyntax: true } };
	return (await transform(text, { loader: "ts", target: "es2022", tsconfigRaw })).code;
}
