/**
 * What fits into a key, a value and a commit of Deno KV.
 *
 * @module
 */

import type { Data, NewTask } from "../../basket/store.ts";
import type { RecordLimits } from "../../records/records.ts";
import { check } from "../../platform/check.ts";
import { textOf } from "../../records/key-text.ts";
import { maxPayload, sizeOf } from "./data.ts";
import type { DenoKvKeyPart } from "./database.ts";

/** A commit takes 100 checks: one for the schema, and of each task one for its id and one for its lane. */
export const maxAdd = 49;

/** So that what surrounds the payloads fits into the commit as well. */
export const maxAddBytes = 650_000;

/** Payloads above, in units of text or bytes, are stored apart, so that a claim need not write them again. */
export const longestInline = 2_000;

/** Bytes of a name, so that it fits into a key of 2 KiB with the name of its basket; those of the name of a basket. */
const [maxName, maxBasketName] = [1_000, 500];

/** All keys of a commit have 80 KiB, the whole commit 800 KiB. */
const [maxKeys, maxCommit] = [81_000, 815_000];

/** Those of a task: its own, one by kind, and those of its id and its lane, which are checked as well. */
const keysPerTask = 7;

/** What such a key has besides names and the keys' common beginning; what a row has besides names and payload. */
const [bytesPerKey, bytesPerRow] = [80, 600];

/** What a {@link RecordLimits} is, for a prefix. */
export function limitsOf(prefix: readonly DenoKvKeyPart[]): RecordLimits {
	const base = prefix.reduce<number>((size, part) => size + 2 + (Object(part).length as number ?? 9), 0);
	return {
		payload: maxPayload,
		sizeOf,
		// In units of text, so that it fits into the row.
		progress: 16_000,
		error: 8_000,
		// One commit must be able to remove them.
		messages: 500,
		checkBasket: (basket) => void checkName("basket", basket, maxBasketName),
		checkTasks: (basket, tasks) => checkTasks(tasks, base + sizeOfName(basket)),
	};
}

/** Refuses what one `add` cannot take. `base` is how many bytes all keys begin with. */
function checkTasks(tasks: readonly NewTask[], base: number): void {
	check("tasks.length", tasks.length, "number", tasks.length <= maxAdd, `${maxAdd} or less`);
	let [payloads, keys, all] = [0, 0, 0];
	for (const { id = "", kind, lane = "", payload } of tasks) {
		const names = [checkName("kind", kind), checkName("id", id), checkName("lane", lane)] as const;
		const size = checkData(payload);
		payloads += size;
		keys += keysPerTask * (base + bytesPerKey) + names[0] + 2 * names[1] + 4 * names[2];
		// What is in the row may take two bytes a character: names, which stand beside a key as well, and short payloads.
		all += size + Math.min(size, longestInline) + 2 * (names[0] + names[1] + 2 * names[2]) + bytesPerRow;
	}
	check("the size of all payloads in bytes", payloads, "number", payloads <= maxAddBytes, `${maxAddBytes} or less`);
	check("the size of all names in bytes", keys, "number", keys <= maxKeys, `${maxKeys} or less`);
	check("the size of all tasks in bytes", all + keys, "number", all + keys <= maxCommit, `${maxCommit} or less`);
}

function checkData(data: Data): number {
	const size = sizeOf(data);
	return check(`the size of "payload" in bytes`, size, "number", size <= maxPayload, `${maxPayload} or less`);
}

/** Refuses a name that is too long for a key. Returns how many bytes of a key it takes. */
function checkName(what: string, name: string, most: number = maxName): number {
	const size = sizeOfName(name);
	return check(`the length of "${what}" in bytes`, size, "number", size <= most, `${most} or less`);
}

function sizeOfName(name: string): number {
	return new TextEncoder().encode(textOf([name])).length - 2;
}
