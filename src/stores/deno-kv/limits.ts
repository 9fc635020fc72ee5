/**
 * The limits of keys, values and commits of Deno KV.
 *
 * @module
 */

import { type Data, mostAppended, type NewTask } from "../../basket/store.ts";
import type { RecordLimits } from "../../records/records.ts";
import { check } from "../../platform/check.ts";
import { textOf } from "../../records/key-text.ts";
import { maxPayload, sizeOf } from "./data.ts";
import type { DenoKvKeyPart } from "./database.ts";

/**
 * The maximum number of tasks per `add`: a commit takes 100 checks, one for the schema, and one each for the id and
 * the lane of a task.
 */
export const maxAdd = 49;

/** Leaves space in the commit for the data around the payloads. */
export const maxAddBytes = 650_000;

/** Longer payloads, in code units or bytes, are stored separately, so that a claim need not write them again. */
export const longestInline = 2_000;

/** The maximum sizes of a name and of a basket's name, in bytes: both must fit into a key of 2 KiB. */
const [maxName, maxBasketName] = [1_000, 500];

/** The maximum size of a kind and a limit key together, in bytes: both are in one key. */
const maxGateName = 1_250;

/** The keys of a commit may have 80 KiB, the whole commit 800 KiB. */
const [maxKeys, maxCommit] = [81_000, 815_000];

/**
 * The keys of a task: its own, one by kind, and those of its id and its lane, which are also checked; and those of an
 * ended task that it replaces, or that of an item.
 */
const [keysPerTask, keysPerReplaced] = [7, 12];

/** The maximum size of all entries that are appended together, in bytes: as others may wait for a large one. */
const maxAppended = 260_000;

/** The keys besides those of entries that a settlement writes, in bytes. */
const keysPerSettlement = 12_000;

/** The overhead of a key besides names and prefix, and of a row besides names and payload. */
const [bytesPerKey, bytesPerRow] = [80, 600];

/** The {@link RecordLimits} for a key prefix. */
export function limitsOf(prefix: readonly DenoKvKeyPart[]): RecordLimits {
	const base = prefix.reduce<number>((size, part) => size + 2 + (Object(part).length as number ?? 9), 0);
	return {
		payload: maxPayload,
		sizeOf,
		appended: maxAppended,
		// Fewer only behind a long prefix.
		entries: Math.min(
			mostAppended,
			Math.floor((maxKeys - keysPerSettlement) / (base + maxBasketName + bytesPerKey)),
		),
		// In code units, so that it fits into the row.
		progress: 16_000,
		error: 8_000,
		// One commit must be able to remove all of them.
		messages: 500,
		checkLimitKey,
		checkBasket: (basket) => void checkName("basket", basket, maxBasketName),
		checkTasks: (basket, tasks) => checkTasks(tasks, base + sizeOfName(basket)),
		// Each child has one key more, and the id of its parent in its row.
		checkChildren: (basket, parent, children) =>
			checkTasks(children, base + sizeOfName(basket), { keys: 1, names: sizeOfName(parent) }),
	};
}

/** What each of some tasks takes more. */
interface More {
	readonly keys: number;
	/** The size of names in its row, in bytes. */
	readonly names: number;
}

/** Refuses tasks that do not fit into one `add`. `base` is the size of the key prefix in bytes. */
function checkTasks(tasks: readonly NewTask[], base: number, more: More = { keys: 0, names: 0 }): void {
	check("tasks.length", tasks.length, "number", tasks.length <= maxAdd, `${maxAdd} or less`);
	let [payloads, keys, all] = [0, 0, 0];
	for (const { id = "", kind, lane = "", payload, ifPresent, item, limitKey } of tasks) {
		const names = [checkName("kind", kind), checkName("id", id), checkName("lane", lane)] as const;
		const gate = limitKey === undefined ? 0 : checkLimitKey(kind, limitKey);
		const size = checkData(payload) + (item === undefined ? 0 : checkData(item));
		payloads += size;
		const count = (ifPresent === undefined ? keysPerTask : keysPerReplaced) + (item === undefined ? 0 : 1) + more.keys;
		keys += count * (base + bytesPerKey) + names[0] + 2 * names[1] + 4 * names[2];
		// In an index, and in the key and the row of a note.
		if (gate > 0) keys += 5 * gate + base + bytesPerKey;
		// Data in the row may take two bytes per character: short payloads, and names, which are also stored beside a key.
		all += size + Math.min(size, longestInline) + 2 * (names[0] + names[1] + 2 * names[2] + more.names) + bytesPerRow;
	}
	check("the size of all payloads in bytes", payloads, "number", payloads <= maxAddBytes, `${maxAddBytes} or less`);
	check("the size of all names in bytes", keys, "number", keys <= maxKeys, `${maxKeys} or less`);
	check("the size of all tasks in bytes", all + keys, "number", all + keys <= maxCommit, `${maxCommit} or less`);
}

/** Refuses a limit key that does not fit into a key together with its kind. Returns the size of both in bytes. */
function checkLimitKey(kind: string, limitKey: string): number {
	const size = sizeOfName(kind) + sizeOfName(limitKey);
	const name = `the length of "kind" and "limitKey" in bytes`;
	return check(name, size, "number", size <= maxGateName, `${maxGateName} or less`);
}

function checkData(data: Data): number {
	const size = sizeOf(data);
	return check(`the size of "payload" in bytes`, size, "number", size <= maxPayload, `${maxPayload} or less`);
}

/** Refuses a name that is too long for a key. Returns its size in bytes. */
function checkName(what: string, name: string, most: number = maxName): number {
	const size = sizeOfName(name);
	return check(`the length of "${what}" in bytes`, size, "number", size <= most, `${most} or less`);
}

function sizeOfName(name: string): number {
	return new TextEncoder().encode(textOf([name])).length - 2;
}
