// Blanks the comments of the sources for the build. Users read comments in the declarations and in `src`; in the code of
// dist/ they would take a third of the bytes. A blanked comment keeps its length, so that no line or column moves.
import { readFileSync } from "node:fs";
import type { OnLoadArgs, OnLoadResult, Plugin, PluginBuild } from "esbuild";
import ts from "typescript";

/** Comments for bundlers. */
const annotation = /^\/[/*]\s*[@#]__/;

export const withoutComments: Plugin = {
	name: "without-comments",
	setup(build: PluginBuild): void {
		build.onLoad({ filter: /\.ts$/ }, ({ path }: OnLoadArgs): OnLoadResult => ({
			contents: blankComments(readFileSync(path, "utf8")),
			loader: "ts",
		}));
	},
};

/** The same code, of the same length, with spaces where the comments were. */
export function blankComments(source: string): string {
	const file: ts.SourceFile = ts.createSourceFile("source.ts", source, {
		languageVersion: ts.ScriptTarget.Latest,
		jsDocParsingMode: ts.JSDocParsingMode.ParseNone, // else they would be tokens
	});
	return tokensOf(file, file).map((token: ts.Node) => {
		const start: number = token.getStart(file);
		return blankTrivia(source.slice(token.pos, start)) + source.slice(start, token.end);
	}).join("");
}

/** The trivia before a token consist of spaces and comments only. */
function blankTrivia(trivia: string): string {
	return trivia.replace(/\/\/.*|\/\*[^]*?\*\//g, (comment: string) => {
		return annotation.test(comment) ? comment : comment.replace(/\S/g, " ");
	});
}

function tokensOf(node: ts.Node, file: ts.SourceFile): ts.Node[] {
	const children: readonly ts.Node[] = node.getChildren(file);
	return children.length === 0 ? [node] : children.flatMap((child: ts.Node) => tokensOf(child, file));
}
