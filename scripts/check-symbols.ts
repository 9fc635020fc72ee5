// Each exported symbol has a doc comment, and each exported function and class an example.
import { fileURLToPath } from "node:url";
import { relative } from "node:path";
import { execute } from "./command.ts";
import { type EntryPoint, entryPoints, root } from "./project.ts";

interface Declaration {
	kind: string;
	location: { filename: string; line: number };
	jsDoc?: { doc?: string; tags?: { kind: string; doc?: string }[] };
}

interface DocumentedSymbol {
	name: string;
	declarations: Declaration[];
}

interface Documentation {
	nodes: Record<string, { symbols: DocumentedSymbol[] }>;
}

export async function checkSymbols(): Promise<string> {
	const sources: string[] = entryPoints().map(({ source }: EntryPoint) => source);
	const { nodes }: Documentation = JSON.parse(await execute("deno", ["doc", "--json", ...sources]));
	// A symbol that two entry points export is documented once; the other entry point has a reference.
	const symbols: DocumentedSymbol[] = Object.values(nodes).flatMap((node) => node.symbols)
		.filter(({ declarations }) => declarations.some(({ kind }: Declaration) => kind !== "reference"));
	const faults: string[] = symbols.flatMap(faultsOf);
	if (faults.length > 0) throw new Error(faults.join("\n"));
	return `${symbols.length} symbols`;
}

function faultsOf({ name, declarations }: DocumentedSymbol): string[] {
	const callable: boolean = declarations.some(({ kind }: Declaration) => kind === "function" || kind === "class");
	const documented: boolean = declarations.some(({ jsDoc }: Declaration) => jsDoc?.doc?.trim());
	const where = `${name} (${placeOf(declarations[0]!)})`;
	return [
		...(documented ? [] : [`${where} has no doc comment`]),
		...(callable && !declarations.some(hasExample) ? [`${where} has no @example with a \`\`\`ts block`] : []),
	];
}

function hasExample({ jsDoc }: Declaration): boolean {
	return jsDoc?.tags?.some(({ kind, doc }) => kind === "example" && doc?.includes("```ts")) ?? false;
}

function placeOf({ location }: Declaration): string {
	return `${relative(root, fileURLToPath(location.filename))}:${location.line}`;
}
