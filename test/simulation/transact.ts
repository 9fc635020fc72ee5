// Simulated tasks that are completed in a transaction. Such a task is done if and only if the transaction is committed.
import type { BasketProcess } from "./basket-process.ts";
import type { BasketWorld } from "./basket-world.ts";
import type { Transaction } from "./ledger.ts";
import type { TransactionEnding } from "./profile.ts";
import type { Run } from "./tasks.ts";
import { sleep } from "../../mod.ts";
import { untilAborted } from "../support.ts";

export async function transact(world: BasketWorld, process: BasketProcess, run: Run): Promise<void> {
	const ending = world.isCalm ? "commit" : world.random.weighted(world.profile.endings);
	world.trace(`${process.name} transacts ${run.context.id}: ${ending}`);
	const transaction = await process.begin();
	try {
		await proceed(new Steps(world, process, run), transaction, ending);
	} finally {
		if (process.isAlive) await transaction.rollBack();
	}
}

async function proceed(steps: Steps, transaction: Transaction, ending: TransactionEnding): Promise<void> {
	await steps.pause();
	await steps.mark(transaction);
	await steps.complete(transaction);
	if (ending === "complete twice") await steps.complete(transaction);
	await steps.pause();
	switch (ending) {
		case "roll back":
			throw new Error("rolled back");
		case "return":
			return;
		case "hang":
			return await steps.hang();
		case "die before":
			return await steps.die();
		case "complete again":
			await transaction.rollBack();
			return await steps.repeat();
	}
	if (!await transaction.commit()) throw new Error("not committed");
	if (ending === "die after") await steps.die();
	if (ending === "commit and go on") await steps.pause();
	if (ending === "commit and throw") throw new Error("the answer is lost");
}

class Steps {
	readonly #world: BasketWorld;
	readonly #process: BasketProcess;
	readonly #run: Run;

	constructor(world: BasketWorld, process: BasketProcess, run: Run) {
		this.#world = world;
		this.#process = process;
		this.#run = run;
	}

	/** Waits, in most cases until an abort at the latest. Otherwise the transaction may outlive the claim. */
	async pause(): Promise<void> {
		const { random, isCalm } = this.#world;
		if (isCalm || random.chance(0.5)) return;
		const { taskClock, lease } = this.#process;
		const signal = random.chance(0.7) ? this.#run.context.signal : undefined;
		await sleep(random.pick([0, 10, 500, 2_000, 8_000, lease / 2, 1.2 * lease]), { clock: taskClock, signal });
	}

	async mark(transaction: Transaction): Promise<void> {
		await transaction.mark(this.#run.record.entry);
	}

	async complete(transaction: Transaction): Promise<void> {
		await this.#run.context.complete(transaction.tx as never);
	}

	/** Repeats the completion in another transaction. */
	async repeat(): Promise<void> {
		const transaction = await this.#process.begin();
		try {
			await proceed(this, transaction, "commit");
		} finally {
			if (this.#process.isAlive) await transaction.rollBack();
		}
	}

	async hang(): Promise<void> {
		await Promise.race([untilAborted(this.#run.context.signal), this.#world.hang(this.#process)]);
	}

	async die(): Promise<never> {
		if (this.#world.isCalm) throw new Error("nobody dies any more");
		this.#process.kill();
		return await new Promise(() => {});
	}
}
