/**
 * `<upkeep-inspector>`: a custom element for operators. It shows the tasks of a basket and the jobs of a processor, and
 * changes them, as far as its source allows: those of a server behind `basketHandler`, or those of the page itself.
 *
 * It needs no framework and no style sheet, works under a strict Content-Security-Policy (`default-src 'self'`, with
 * `require-trusted-types-for 'script'`), and follows the `color-scheme` of the page. For a terminal, use `npx upkeep`; for
 * a page of your own, use an {@link Inspection}.
 *
 * @module
 */

import { createInspectorClass, type InspectorConstructor } from "./element.ts";

export type * from "../inspection/inspection.ts";
export { type InspectorConstructor, type UpkeepInspector } from "./element.ts";
export { remoteInspection, type RemoteInspectionOptions } from "./remote.ts";

/**
 * Defines the element, unless one is defined under this name. Outside of pages, it does nothing, so that a module for both
 * can call it.
 *
 * @param name the name of the element, with a hyphen. @default "upkeep-inspector"
 * @returns the class; `undefined` outside of pages
 * @throws {DOMException} named `SyntaxError` if no element can have this name
 *
 * @example
 * ```ts browser
 * import { Basket, memoryStore } from "upkeep";
 * import { inspect } from "upkeep/http";
 * import { defineInspector, type UpkeepInspector } from "upkeep/inspector";
 *
 * const outbox = new Basket({ store: memoryStore(), tasks: { send: (_text: string) => {} } });
 * await outbox.add("send", "hello", { id: "first" });
 *
 * defineInspector();
 * const inspector = document.createElement("upkeep-inspector") as UpkeepInspector;
 * inspector.source = inspect({ outbox });
 * document.body.append(inspector);
 * ```
 */
export function defineInspector(name = "upkeep-inspector"): InspectorConstructor | undefined {
	if (typeof customElements === "undefined") return undefined;
	const known = customElements.get(name) as InspectorConstructor | undefined;
	if (known !== undefined) return known;
	const defined = createInspectorClass();
	customElements.define(name, defined);
	return defined;
}
