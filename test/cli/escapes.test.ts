// Stored data may come from an attacker. It must not control the terminal.
import { describe, expect, test } from "vitest";
import { job, memoryStore, Processor, type Store } from "../../mod.ts";
import { baskets } from "../../src/cli/baskets.ts";
import { change } from "../../src/cli/change.ts";
import { counts, list } from "../../src/cli/list.ts";
import { cancel, signal } from "../../src/cli/messages.ts";
import { pause } from "../../src/cli/pause.ts";
import { schedules } from "../../src/cli/schedules.ts";
import { show } from "../../src/cli/show.ts";
import { type CommandName, Failure, type Request } from "../../src/cli/terminal.ts";
import { watch } from "../../src/cli/watch.ts";
import { why } from "../../src/cli/why.ts";
import { catalogOf, FakeTerminal, request } from "./support.ts";

/** A sequence, C1, a line, a bell, bidi marks and isolates, a separator, a tag, a joiner, a delete. */
const evil = "x\x1b]0;t\x07\x9b2J\x85\r\n\u202e\u2066\u061c\u2028\u{e0041}\u200d\x7fy";
const harmful = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const name = evil.replaceAll("\0", "");

// A page escapes by itself.
const commands: Readonly<Record<Exclude<CommandName, "serve">, typeof baskets>> = {
	...{ baskets, ls: list, counts, show, why, watch },
	...{ retry: change, hold: change, release: change, rm: change, clear: change },
	...{ pause, resume: pause, schedules, cancel, signal },
};

/** Adds tasks in all states, with an evil string in each field and as the name of the basket. */
async function fill(store: Store<never>): Promise<void> {
	const task = { kind: evil, payload: JSON.stringify({ [evil]: evil }), delay: 0, priority: 0, lane: evil };
	const ids = ["", " 2", " 3", " 4", " 5"].map((end) => name + end);
	await store.add(name, ids.map((id) => ({ ...task, id, lane: evil + id, meta: JSON.stringify({ [evil]: evil }) })));
	const turn = { settle: [], claim: [{ kinds: [evil], limit: 4 }], lease: 30_000, worker: evil };
	const { claims: [a, b, c, d] } = await store.turn(name, turn);
	await store.save(name, [{ ref: a!, progress: evil }, { ref: b!, progress: JSON.stringify({ value: evil }) }]);
	const error = JSON.stringify({ name: evil, message: evil, stack: `${evil}: ${evil}\n at ${evil}` });
	const attempts = [[1, 5, 5, evil, evil, evil], [2, 6, null, evil]];
	const edited = [[evil, 5, 5], [1, evil, 5], [1, 5, evil], [1, 5, 5, { evil }, [evil]], evil];
	const history = JSON.stringify([1, ...attempts, ...edited]);
	const settle = [
		{ ref: a!, outcome: { type: "dead", attempts: 1, error, history } },
		{ ref: b!, outcome: { type: "retry", attempts: 1, error: evil, delay: 1_000, payload: evil } },
		{ ref: c!, outcome: { type: "done", retain: 1e6, result: JSON.stringify(evil) } },
	] as const;
	await store.turn(name, { settle: [...settle], claim: [], lease: 30_000 });
	await store.post(name, d!.id, JSON.stringify(evil));
	await store.post(name, d!.id, evil);
	await store.change(name, [ids[4]!], "hold");
	await fillSchedules(store);
}

/** Adds a schedule with an evil text, and a pause of an evil kind. */
async function fillSchedules(store: Store<never>): Promise<void> {
	const payload = `\u0001${JSON.stringify({ text: evil, due: 1e12, payload: evil })}`;
	await store.add(name, [{ id: `schedule:${name}`, kind: evil, payload, delay: 1_000, priority: 0 }]);
	await store.pause(name, `${evil} 6`, true);
}

/** Adds jobs with evil names: a completed one, a failed one and an active one. */
async function fillJobs(store: Store<never>): Promise<void> {
	const fails = () => {
		const error = new Error(evil);
		error.name = evil;
		throw error;
	};
	const good = job<string>(evil).step(evil, { run: () => ({ [evil]: evil }) });
	const bad = job<string>(`${evil} 2`).step(evil, { run: () => evil, revert: () => {} }).step(`${evil} b`, {
		run: fails,
	});
	const slow = job<string>(`${evil} 3`).step(evil, { run: () => evil }).step("fails", {
		run: fails,
		attempts: 3,
		backoff: 1e9,
	});
	const processor = new Processor({ store, name, jobs: [good, bad, slow], retain: 1e9 });
	await processor.add(good, evil, { id: `${name} 1` });
	await processor.add(bad, evil, { id: `${name} 2` });
	await processor.add(slow, evil, { id: `${name} 3` });
	await processor.drain();
	await fillSchedules(store);
}

function everything(terminal: FakeTerminal): string[] {
	return [...terminal.printed, ...terminal.notes, ...terminal.questions, ...terminal.drawn];
}

describe.each([["a task", fill], ["a job", fillJobs]] as const)("upkeep does a terminal no harm: %s", (_what, fill) => {
	test.each(
		(Object.keys(commands) as (keyof typeof commands)[]).flatMap((command) =>
			[true, false].map((isTable) => [command, isTable] as const)
		),
	)("upkeep %s (for people: %s)", async (command, isTable) => {
		const store = memoryStore();
		await fill(store);
		const all = await store.list(name, { limit: 99 });
		expect(all.length).toBeGreaterThan(2);
		const more = command === "signal" ? [evil, JSON.stringify(evil)] : [];
		const named: Partial<Request>[] = all.map(({ id }) => ({ ids: [id, ...more] }));
		const wholes: Partial<Request>[] = [{}, { state: "dead" }, { kind: evil, isLong: true }, {
			state: "done",
			limit: 1,
		}];
		const isNaming = !["baskets", "ls", "counts", "watch"].includes(command);
		const changes = ["show", "why", "cancel", "signal"].includes(command)
			? []
			: [{ isAll: true, state: "waiting" as const }, { isAll: true, state: "done" as const }];
		const kinds: Partial<Request>[] = [{}, { kind: evil }];
		const requests = ["pause", "resume", "schedules"].includes(command)
			? kinds
			: isNaming
			? [...named, { ids: [`${name} nobody`, ...more] }, ...changes]
			: wholes;
		let printed = 0;
		for (const values of requests) {
			const terminal = new FakeTerminal({ isTable, canAsk: true });
			terminal.columns = 200;
			terminal.answer = "n";
			const running = commands[command](
				store,
				request(command, { basket: name, ...values }),
				terminal,
				catalogOf(terminal, store, [name]),
			);
			if (command === "watch") {
				while (!/waiting/.test(everything(terminal).join())) await new Promise((resolve) => setTimeout(resolve, 0));
				terminal.close();
			}
			const failure = await running.then(() => undefined, (error) => error);
			if (failure !== undefined) expect(failure).toBeInstanceOf(Failure);
			const lines = [...everything(terminal), ...failure === undefined ? [] : [(failure as Error).message]];
			printed += lines.length;
			for (const line of lines) expect(line).not.toMatch(harmful);
		}
		expect(printed).toBeGreaterThan(requests.length - 1);
	});
});
