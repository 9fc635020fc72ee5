/**
 * The meta of a task: short texts by name that travel with it, outside of its payload, codec and schema.
 *
 * @module
 */

import { mostMeta } from "./store.ts";
import { check, refuse } from "../platform/check.ts";

/** Texts by name. They are for programs around the task, such as a trace context, and not for its function. */
export type TaskMeta = Readonly<Record<string, string>>;

/** Converts meta to text. Throws if it is none, or too long. */
export function encodeMeta(meta: TaskMeta | undefined): string | undefined {
	if (meta === undefined) return undefined;
	const entries = Object.entries(check("meta", meta, "object"));
	for (const [name, text] of entries) check(`meta.${name}`, text, "string");
	const data = JSON.stringify(Object.fromEntries(entries));
	if (data.length <= mostMeta) return data;
	return refuse("meta", meta, `at most ${mostMeta} characters long as JSON, and not ${data.length}`, RangeError);
}

/** Decodes the result of {@link encodeMeta}. Damaged text is no meta. */
export function decodeMeta(text: string | undefined): TaskMeta {
	if (text === undefined) return {};
	try {
		const meta = JSON.parse(text);
		const isMeta = typeof meta === "object" && Object.values(meta).every((value) => typeof value === "string");
		return isMeta ? meta : {};
	} catch {
		return {};
	}
}
