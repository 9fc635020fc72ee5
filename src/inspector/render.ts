/**
 * Brings the nodes of a page in line with a description of them. Nodes that stay are kept, with their focus, selection and
 * place of scrolling, and what is the same is not touched. Text is only ever set as text, so nothing in it can become a tag.
 *
 * @module
 */

/** The description of an element. */
export class Described {
	readonly tag: string;
	readonly properties: Properties;
	readonly children: readonly Child[];

	constructor(tag: string, properties: Properties, children: readonly Child[]) {
		this.tag = tag;
		this.properties = properties;
		this.children = children;
	}
}

/** What an element contains. Whatever is false or undefined is left out. */
export type Child = Described | string | false | undefined | readonly Child[];

/**
 * Attributes by name; `true` is one without a value. Functions are listeners: `onclick`. `key` says which element it is among its
 * neighbours, `value` is the property.
 */
export type Properties = Readonly<Record<string, unknown>>;

/** What was described for a node, with its key. */
type Known = Node & { upkeep?: Properties };

const svgTags = /^(?:svg|path)$/;

/** Describes an element. */
export function h(tag: string, properties: Properties = {}, ...children: Child[]): Described {
	return new Described(tag, properties, children);
}

/** Gives `parent` these children. */
export function render(parent: Node, children: readonly Child[]): void {
	const wanted = (children as readonly unknown[]).flat(9).filter(Boolean).map(described);
	const keys = new Set(wanted.map((child) => typeof child === "string" ? undefined : child.properties["key"]));
	const keyed = new Map<unknown, Node>();
	// What goes is removed first: what stays is then in its place, and moving it would cost it the focus.
	for (const node of [...parent.childNodes]) {
		const key = keyOf(node);
		if (key !== undefined && keys.has(key)) keyed.set(key, node);
		else if (key !== undefined) node.remove();
	}
	const keep = new Set<Node>();
	let next = parent.firstChild;
	for (const child of wanted) {
		while (next && keep.has(next)) next = next.nextSibling;
		const key = typeof child === "string" ? undefined : child.properties["key"];
		let node = key === undefined ? next : keyed.get(key);
		if (!node || (key === undefined && keyOf(node) !== undefined) || !fits(node, child)) node = create(parent, child);
		if (node === next) next = node.nextSibling;
		else parent.insertBefore(node, next);
		keep.add(node);
		update(node, child);
	}
	for (const node of [...parent.childNodes]) if (!keep.has(node)) node.remove();
}

/** An object in the place of a text, which a damaged task may have, is no description: it is shown as JSON. */
function described(child: unknown): Described | string {
	return typeof child === "string" || child instanceof Described ? child : JSON.stringify(child);
}

function keyOf(node: Known): unknown {
	return node.upkeep?.["key"];
}

function fits(node: Node, child: Described | string): boolean {
	return node.nodeName.toLowerCase() === (typeof child === "string" ? "#text" : child.tag);
}

function create(parent: Node, child: Described | string): Node {
	const document = parent.ownerDocument!;
	if (typeof child === "string") return document.createTextNode(child);
	return svgTags.test(child.tag)
		? document.createElementNS("http://www.w3.org/2000/svg", child.tag)
		: document.createElement(child.tag);
}

function update(node: Known, child: Described | string): void {
	if (typeof child === "string") {
		if (node.nodeValue !== child) node.nodeValue = child;
		return;
	}
	const element = node as Element & Known & Record<string, unknown>;
	const before = element.upkeep ?? {};
	const { properties } = child;
	element.upkeep = properties;
	render(element, child.children);
	for (const name of new Set([...Object.keys(before), ...Object.keys(properties)])) {
		const value = properties[name];
		if (name.startsWith("on")) element[name] = value ?? null;
		else if (name === "key" || value === before[name]) continue;
		// Only if it was described anew: what somebody is typing stays.
		else if (name === "value") element[name] = value;
		else setAttribute(element, name, value);
	}
}

function setAttribute(element: Element, name: string, value: unknown): void {
	if (value === undefined || value === false) element.removeAttribute(name);
	else element.setAttribute(name, value === true ? "" : String(value));
}
