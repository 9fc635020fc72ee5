/**
 * What fits into a value and a commit of Deno KV.
 *
 * @module
 */

import type { Data, NewTask, Save } from "../../basket/store.ts";
import { check } from "../../platform/check.ts";
import { checkName } from "./names.ts";
import { longestInline, maxPayload, sizeOf } from "./record.ts";

/** A commit takes 100 checks: one for the schema, and of each task one for its id and one for its lane. */
export const maxAdd = 49;

/** So that what surrounds the payloads fits into the commit as well. */
export const maxAddBytes = 650_000;

/** All keys of a commit have 80 KiB, the whole commit 800 KiB. */
const [maxKeys, maxCommit] = [81_000, 815_000];

/** Those of a task: its own, one by kind, and those of its id and its lane, which are checked as well. */
const keysPerTask = 6;

/** What such a key has besides names and the keys' common beginning; what a record has besides names and payload. */
const [bytesPerKey, bytesPerRecord] = [32, 500];

/** In units of text, so that it fits into the record. */
const maxProgress = 16_000;

/** Refuses what one `add` cannot take. `base` is how many bytes all keys begin with. */
export function checkTasks(tasks: readonly NewTask[], base: number): void {
	check("tasks.length", tasks.length, "number", tasks.length <= maxAdd, `${maxAdd} or less`);
	let [payloads, keys, all] = [0, 0, 0];
	for (const { id = "", kind, lane = "", payload } of tasks) {
		const names = checkName("id", id) + checkName("kind", kind) + checkName("lane", lane);
		const size = checkData("payload", payload);
		payloads += size;
		keys += keysPerTask * (base + bytesPerKey) + 3 * names;
		// What is in the record may take two bytes a character: names, which stand beside a key as well, and short payloads.
		all += size + Math.min(size, longestInline) + 4 * names + bytesPerRecord;
	}
	check("the size of all payloads in bytes", payloads, "number", payloads <= maxAddBytes, `${maxAddBytes} or less`);
	check("the size of all names in bytes", keys, "number", keys <= maxKeys, `${maxKeys} or less`);
	check("the size of all tasks in bytes", all + keys, "number", all + keys <= maxCommit, `${maxCommit} or less`);
}

/** Refuses what cannot be saved; as a value, since what others save is not to be refused with it. */
export function checkSave({ payload, progress = "" }: Save): RangeError | undefined {
	try {
		checkData("payload", payload);
		check("progress", progress, "string", progress.length <= maxProgress, `of ${maxProgress} characters or less`);
	} catch (error) {
		return error as RangeError;
	}
	return undefined;
}

/** Returns the size, in bytes. */
export function checkData(name: string, data: Data | undefined): number {
	const size = data === undefined ? 0 : sizeOf(data);
	return check(`the size of "${name}" in bytes`, size, "number", size <= maxPayload, `${maxPayload} or less`);
}
