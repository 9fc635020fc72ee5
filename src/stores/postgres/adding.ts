/**
 * The arguments of `add` and `put`, and what they answer.
 *
 * @module
 */

import type { Added, NewTask, TaskState } from "../../basket/store.ts";
import { checkPlace, collectedMark } from "../../basket/place.ts";
import { stateOf } from "../sql/sql.ts";
import { arrayOf, decodeText, duration, encode, encodeData, encodeText } from "./data.ts";

/** What the functions answer. Without `blocks`, nothing was added because of `wrong`. */
export type AddAnswer = readonly [
	/** The first numbers of the blocks of 1024 numbers that the tasks have in their order. */
	blocks: number[] | null,
	there: [index: number, state: number | null, isReplaced?: boolean][] | null,
	wrong?: [index: number, kind: string, lane: string | null, isCollected: boolean],
];

/** The tasks by column. */
export function columnsOf(tasks: readonly NewTask[], isReplacing: boolean): string[] {
	const column = (of: (task: NewTask) => string | undefined) => {
		const texts = tasks.map(of);
		return texts.some((text) => text !== undefined) ? arrayOf(texts) : "{}";
	};
	const columns = [
		column(({ kind }) => encode(kind)),
		column(({ id }) => encodeText(id)),
		column(({ lane }) => encodeText(lane)),
		column(({ limitKey }) => encodeText(limitKey)),
		`{${tasks.map(({ priority }) => priority)}}`,
		`{${tasks.map(({ delay }) => duration(delay))}}`,
		column(({ payload }) => encode(payload)),
	];
	const metas = column(({ meta }) => encodeText(meta));
	if (!isReplacing) return [...columns, metas];
	const withins = tasks.map(({ within }) => within === undefined ? "NULL" : duration(within));
	return [
		...columns,
		`{${withins}}`,
		`{${tasks.map(({ ifPresent }) => ifPresent !== undefined)}}`,
		column(({ item }) => encodeData(item)),
		`{${tasks.map(({ most }) => most ?? "NULL")}}`,
		metas,
	];
}

/** @throws {TypeError} if a task cannot replace the one that is there */
export function showAdded(tasks: readonly NewTask[], [blocks, there, wrong]: AddAnswer): Added[] {
	if (wrong) {
		const [index, kind, lane, isCollected] = wrong;
		const there = { kind: decodeText(kind), lane: decodeText(lane), payload: isCollected ? collectedMark : "" };
		checkPlace(tasks[index]!.id!, there, tasks[index]!);
	}
	const found = new Map(there?.map(([index, ...rest]) => [index, rest]));
	return tasks.map(({ id }, index) => {
		const [state, isReplaced = false] = found.get(index) ?? [];
		if (state !== undefined) return { id: id!, added: isReplaced, state: present(state) };
		return { id: id ?? `_${blocks![Math.floor(index / 1024)]! * 1024 + index % 1024}`, added: true };
	});
}

/** Returns the public state; `undefined` for `null`, which means that the task has just disappeared. */
function present(state: number | null): TaskState | undefined {
	return state === null ? undefined : stateOf(state);
}
