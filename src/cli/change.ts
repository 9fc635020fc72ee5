/**
 * `upkeep retry`, `hold`, `release`, `rm` and `clear`: the commands that change tasks, by id or, with `--all` and for
 * `clear`, by state, kind, lane and prefix.
 *
 * @module
 */

import type { Change, Store, StoredTask } from "../basket/store.ts";
import { isHalfDone } from "./job.ts";
import { pages, pageSize, taskTable } from "./list.ts";
import { JobReader } from "./job-reader.ts";
import { restart, whyNotFrom } from "./restart.ts";
import {
	type CommandName,
	databaseName,
	type ExitCode,
	Failure,
	missing,
	quote,
	type Request,
	type Terminal,
} from "./terminal.ts";
import { count, toJson } from "./text.ts";

/** The number of tasks that are shown before the question. */
const previewSize = 10;

type Simple = Extract<Change, string>;
type Changing = Simple | "rm" | "clear";

const words: Readonly<Record<Changing, readonly [done: string, rule: string]>> = {
	retry: ["retried", "only dead and waiting ones can be retried"],
	hold: ["held", "only waiting and running ones can be held"],
	release: ["released", "only held ones can be released"],
	rm: ["removed", ""],
	clear: ["removed", ""],
};

/** Changes tasks, and reports which of them were changed. */
export async function change(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	return request.isAll ? await changeAll(store, request, terminal) : await changeNamed(store, request, terminal);
}

async function apply(store: Store, request: Request, ids: readonly string[]): Promise<readonly boolean[]> {
	const { basket, command, from } = request;
	if (ids.length === 0) return [];
	if (from !== undefined) return await restart(store, basket, ids, from);
	return isRemoval(command) ? await store.delete(basket, ids) : await store.change(basket, ids, command as Simple);
}

function isRemoval(command: CommandName): boolean {
	return command === "rm" || command === "clear";
}

async function changeNamed(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	const ids = [...new Set(request.ids)];
	const kept = await keptOf(store, request, ids, terminal);
	let code: ExitCode = 0;
	for (let from = 0; from < ids.length; from += pageSize) {
		const batch = ids.slice(from, from + pageSize);
		const wanted = batch.filter((id) => !kept.has(id));
		const applied = await apply(store, request, wanted);
		const changed = new Set(wanted.filter((_, index) => applied[index]));
		for (const id of batch) {
			const reason = changed.has(id) ? undefined : kept.get(id) ?? await whyNot(store, request, id);
			await report(id, reason, request, terminal);
			if (reason !== undefined) code = code === 3 ? 3 : reason.code;
		}
	}
	return code;
}

/** The jobs that `rm` does not remove, each with the reason. */
async function keptOf(
	store: Store,
	request: Request,
	ids: readonly string[],
	terminal: Terminal,
): Promise<ReadonlyMap<string, Failure>> {
	const { basket, command, takesHalfDone } = request;
	if (!isRemoval(command) || takesHalfDone) return new Map();
	const tasks: StoredTask[] = [];
	const jobs = new JobReader(store, basket);
	for (const id of ids) {
		const task = await store.get(basket, id);
		if (task !== undefined && await isLeft(task, jobs)) tasks.push(task);
	}
	if (tasks.length === 0) return new Map();
	if (terminal.canAsk) {
		await preview(tasks.length, tasks.slice(0, previewSize), jobs, terminal);
		if (await isHalfDoneConfirmed(tasks.length, tasks.length === ids.length, terminal)) return new Map();
	}
	return new Map(tasks.map(({ id }) => [
		id,
		new Failure(1, `The job ${quote(id)} is half done, and removing it reverts nothing: --half-done removes it`),
	]));
}

async function halfDoneOf(tasks: readonly StoredTask[], jobs: JobReader): Promise<StoredTask[]> {
	const found: StoredTask[] = [];
	for (const task of tasks) if (await isLeft(task, jobs)) found.push(task);
	return found;
}

async function isLeft(task: StoredTask, jobs: JobReader): Promise<boolean> {
	return isHalfDone(task, await jobs.position(task)) || await jobs.isNeeded(task);
}

async function isHalfDoneConfirmed(number: number, isEach: boolean, terminal: Terminal): Promise<boolean> {
	const which = isEach
		? (number === 1 ? "It is a job that is" : "They are jobs that are")
		: `${count(number, "job")} of them ${number === 1 ? "is" : "are"}`;
	return await isYes(terminal, `${which} half done, and nothing would be reverted. Remove all the same? [y/N] `);
}

async function whyNot(store: Store, { basket, command, from }: Request, id: string): Promise<Failure> {
	const task = await store.get(basket, id);
	if (task === undefined) return missing(id, basket);
	if (from !== undefined) return await whyNotFrom(task, from);
	return new Failure(1, `The task ${quote(id)} is ${task.state}: ${words[command as Changing][1]}`);
}

async function report(
	id: string,
	reason: Failure | undefined,
	{ command }: Request,
	terminal: Terminal,
): Promise<void> {
	const [done] = words[command as Changing];
	if (!terminal.isTable) await terminal.print(toJson({ id, [done]: reason === undefined, reason: reason?.message }));
	else if (reason === undefined) await terminal.print(`${quote(id)} is ${done}`);
	if (reason !== undefined) terminal.note(reason.message);
}

/** The tasks that `--all` matches. */
interface Survey {
	readonly number: number;
	readonly first: readonly StoredTask[];
	/** The number of jobs that a removal does not remove without a second confirmation. */
	readonly halfDone: number;
}

/**
 * Changes the tasks that exist now, and no others. A task that is retried goes to the end of the list: if it died again
 * before the command ended, the command would meet it again and again.
 */
async function changeAll(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	const { command, isSure, takesHalfDone } = request;
	const [done] = words[command as Changing];
	const name = command === "clear" ? command : `${command} --all`;
	if (!isSure && !terminal.canAsk) throw new Failure(2, `${name} needs --yes without a terminal`);
	const jobs = new JobReader(store, request.basket);
	const found = await survey(store, request, jobs);
	const { number, halfDone } = found;
	if (!isSure && number > 0 && !await isConfirmed(found, request, jobs, terminal)) {
		throw new Failure(1, `Nothing was ${done}`);
	}
	const isAsked = halfDone > 0 && !isSure && await isHalfDoneConfirmed(halfDone, halfDone === number, terminal);
	const keepsHalfDone = isRemoval(command) && !takesHalfDone && !isAsked;
	let [seen, changed, kept] = [0, 0, 0];
	for await (const tasks of number === 0 ? [] : pages(store, request)) {
		if (terminal.closed.aborted) throw new Failure(1, `Interrupted: ${count(changed, "task")} of ${number} ${done}`);
		const batch = tasks.slice(0, number - seen);
		const left = new Set(keepsHalfDone ? await halfDoneOf(batch, jobs) : []);
		const applied = await apply(store, request, batch.filter((task) => !left.has(task)).map(({ id }) => id));
		changed += applied.filter(Boolean).length;
		kept += left.size;
		seen += batch.length;
		if (seen >= number) break;
	}
	await finish({ found: number, changed, kept }, request, terminal);
	return kept > 0 ? 1 : number === 0 ? 3 : 0;
}

async function finish(
	{ found, changed, kept }: Readonly<Record<"found" | "changed" | "kept", number>>,
	{ command }: Request,
	terminal: Terminal,
): Promise<void> {
	const [done] = words[command as Changing];
	if (!terminal.isTable) {
		return await terminal.print(toJson({ found, [done]: changed, ...(kept > 0 ? { halfDone: kept } : {}) }));
	}
	await terminal.print(`${count(changed, "task")} ${done}`);
	if (kept > 0) {
		terminal.note(`${count(kept, "job")} half done and left: --half-done removes them, and reverts nothing`);
	}
	const meanwhile = found - changed - kept;
	if (meanwhile > 0) terminal.note(`${count(meanwhile, "task")} left, as they had changed meanwhile`);
}

async function survey(store: Store, request: Request, jobs: JobReader): Promise<Survey> {
	const { command, takesHalfDone } = request;
	const first: StoredTask[] = [];
	let [number, halfDone] = [0, 0];
	for await (const tasks of pages(store, request)) {
		number += tasks.length;
		for (const task of tasks.slice(0, previewSize - first.length)) first.push(task);
		if (isRemoval(command) && !takesHalfDone) halfDone += (await halfDoneOf(tasks, jobs)).length;
	}
	return { number, first, halfDone };
}

async function isConfirmed(
	{ number, first }: Survey,
	request: Request,
	jobs: JobReader,
	terminal: Terminal,
): Promise<boolean> {
	const { command, basket, db } = request;
	await preview(number, first, jobs, terminal);
	const place = `the basket ${quote(basket)} in ${databaseName(db)}`;
	return await isYes(terminal, `${command} ${count(number, "task")} of ${place}? [y/N] `);
}

async function preview(
	number: number,
	first: readonly StoredTask[],
	jobs: JobReader,
	terminal: Terminal,
): Promise<void> {
	await terminal.print((await taskTable(first, jobs, terminal)).join("\n"));
	if (number > first.length) await terminal.print(`… and ${(number - first.length).toLocaleString("en-US")} more`);
}

async function isYes(terminal: Terminal, question: string): Promise<boolean> {
	return /^y(es)?$/i.test((await terminal.ask(question)).trim());
}
