/**
 * `upkeep retry`, `hold`, `release` and `rm`: what changes something, by id or, with `--all`, by state and kind.
 *
 * @module
 */

import type { Change, Store, StoredTask } from "../basket/store.ts";
import { pages, pageSize, taskTable } from "./list.ts";
import { type ExitCode, Failure, missing, quote, type Request, type Terminal } from "./terminal.ts";
import { count, toJson } from "./text.ts";

/** How many of those that it would hit are shown before it is done. */
const previewSize = 10;

const words: Readonly<Record<Change | "rm", readonly [done: string, rule: string]>> = {
	retry: ["retried", "only dead and waiting ones can be retried"],
	hold: ["held", "only waiting and running ones can be held"],
	release: ["released", "only held ones can be released"],
	rm: ["removed", ""],
};

/** Changes tasks, and says which of them were. */
export async function change(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	return request.isAll ? await changeAll(store, request, terminal) : await changeNamed(store, request, terminal);
}

async function apply(store: Store, { basket, command }: Request, ids: readonly string[]): Promise<readonly boolean[]> {
	return command === "rm" ? await store.delete(basket, ids) : await store.change(basket, ids, command as Change);
}

async function changeNamed(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	const ids = [...new Set(request.ids)];
	let code: ExitCode = 0;
	for (let from = 0; from < ids.length; from += pageSize) {
		const batch = ids.slice(from, from + pageSize);
		const applied = await apply(store, request, batch);
		for (const [index, id] of batch.entries()) {
			const reason = applied[index] ? undefined : await whyNot(store, request, id);
			await report(id, reason, request, terminal);
			if (reason !== undefined) code = code === 3 ? 3 : reason.code;
		}
	}
	return code;
}

async function whyNot(store: Store, { basket, command }: Request, id: string): Promise<Failure> {
	const task = await store.get(basket, id);
	if (task === undefined) return missing(id, basket);
	return new Failure(1, `The task ${quote(id)} is ${task.state}: ${words[command as Change][1]}`);
}

async function report(
	id: string,
	reason: Failure | undefined,
	{ command }: Request,
	terminal: Terminal,
): Promise<void> {
	const [done] = words[command as Change];
	if (!terminal.isTable) await terminal.print(toJson({ id, [done]: reason === undefined, reason: reason?.message }));
	else if (reason === undefined) await terminal.print(`${quote(id)} is ${done}`);
	if (reason !== undefined) terminal.note(reason.message);
}

/**
 * Those that are there now, and no others: a task that is retried stands at the end, and if it is dead again before this is
 * done, it would come again and again.
 */
async function changeAll(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	const { command, isSure } = request;
	const [done] = words[command as Change];
	if (!isSure && !terminal.canAsk) throw new Failure(2, `${command} --all needs --yes where nobody can be asked`);
	const { number, first } = await survey(store, request);
	if (number === 0) {
		await finish(0, 0, request, terminal);
		return 0;
	}
	if (!isSure && !await isConfirmed(number, first, request, terminal)) throw new Failure(1, `Nothing was ${done}`);
	let seen = 0;
	let changed = 0;
	for await (const tasks of pages(store, request)) {
		if (terminal.closed.aborted) throw new Failure(1, `Interrupted: ${count(changed, "task")} of ${number} ${done}`);
		const batch = tasks.slice(0, number - seen).map(({ id }) => id);
		changed += (await apply(store, request, batch)).filter(Boolean).length;
		seen += batch.length;
		if (seen >= number) break;
	}
	await finish(number, changed, request, terminal);
	return 0;
}

async function finish(found: number, changed: number, { command }: Request, terminal: Terminal): Promise<void> {
	const [done] = words[command as Change];
	if (!terminal.isTable) return await terminal.print(toJson({ found, [done]: changed }));
	await terminal.print(`${count(changed, "task")} ${done}`);
	if (changed < found) terminal.note(`${count(found - changed, "task")} had changed meanwhile and is left as it is`);
}

async function survey(store: Store, request: Request): Promise<{ number: number; first: StoredTask[] }> {
	let number = 0;
	const first: StoredTask[] = [];
	for await (const tasks of pages(store, request)) {
		number += tasks.length;
		for (const task of tasks.slice(0, previewSize - first.length)) first.push(task);
	}
	return { number, first };
}

async function isConfirmed(
	number: number,
	first: readonly StoredTask[],
	{ command, basket }: Request,
	terminal: Terminal,
): Promise<boolean> {
	await terminal.print((await taskTable(first, terminal)).join("\n"));
	if (number > first.length) await terminal.print(`… and ${(number - first.length).toLocaleString("en-US")} more`);
	const answer = await terminal.ask(`${command} ${count(number, "task")} of the basket ${quote(basket)}? [y/N] `);
	return /^y(es)?$/i.test(answer.trim());
}
