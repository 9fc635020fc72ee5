// A rule for `deno lint`: a list of unlimited length must not become the arguments of a call. About 100,000 arguments
// overflow the stack.
interface Node {
	readonly type: string;
	readonly name?: string;
	readonly callee?: Node;
	readonly property?: Node;
	readonly arguments?: readonly Node[];
}

interface Context {
	readonly filename: string;
	report(fault: { node: Node; message: string; hint: string }): void;
}

/** What is called with as many arguments as a list has elements. */
const names: ReadonlySet<string> = new Set([
	"push",
	"unshift",
	"splice",
	"concat",
	"min",
	"max",
	"hypot",
	"fromCharCode",
	"fromCodePoint",
]);

function create(context: Context): { CallExpression(node: Node): void } | Record<never, never> {
	if (!/[\\/]src[\\/]/.test(context.filename)) return {};
	return {
		CallExpression(node: Node): void {
			const name: string = node.callee?.property?.name ?? "";
			const isSpread: boolean = node.arguments?.some(({ type }: Node) => type === "SpreadElement") ?? false;
			if (!isSpread || !names.has(name)) return;
			const message = `A list becomes the arguments of ${name}(): a long one overflows the stack`;
			context.report({ node, message, hint: "Take one element after the other" });
		},
	};
}

export default { name: "upkeep", rules: { "no-spread-list": { create } } };
