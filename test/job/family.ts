// Helpers for the laws of the children of jobs.
import type { Job, Processor } from "../../mod.ts";
import type { Fault, Machine, Process } from "./support.ts";

export type Law = (title: string, body: (make: () => Promise<Machine>) => Promise<void>) => void;

export function fail(text = "failure"): never {
	throw new Error(text);
}

export interface Family {
	readonly process: Process;
	readonly processor: Processor<Job>;
	/** Stops the processor. */
	stop(): Promise<void>;
	/** The outcome of the job. */
	outcome(): ReturnType<Processor<Job>["result"]>;
	/** The status of each child, in the order of the list. */
	statuses(): Promise<string[]>;
	/** The ids of the children. */
	ids(): Promise<string[]>;
}

/** Adds the job `x` and starts a processor. */
export async function begin(
	machine: Machine,
	definition: unknown,
	{ more = [], options = {}, process = machine.process() }: {
		readonly more?: readonly unknown[];
		readonly options?: object;
		readonly process?: Process;
	} = {},
): Promise<Family> {
	const processor = process.processor([definition, ...more] as Job[], options) as Processor<Job>;
	await processor.add(definition as Job, undefined, { id: "x" });
	return { ...family(machine, processor), process, ...machine.start(processor) };
}

/** What a processor shows of the job `x`. */
export function family(
	machine: Machine,
	processor: Processor<Job>,
): Pick<Family, "processor" | "outcome" | "statuses" | "ids"> {
	return {
		processor,
		outcome: () => processor.result("x"),
		async statuses() {
			const statuses: string[] = [];
			for await (const { status } of processor.list({ parent: "x" })) statuses.push(status);
			return statuses;
		},
		async ids() {
			return (await machine.store.list(machine.name, { parent: "x", limit: 2_000 })).map(({ id }) => id);
		},
	};
}

/** Adds the job `x`, and runs it for a time. */
export async function runFor(
	machine: Machine,
	time: number,
	...rest: [definition: unknown, options?: Parameters<typeof begin>[2]]
): Promise<Family> {
	const begun = await begin(machine, ...rest);
	await machine.advance(time);
	await begun.stop();
	return begun;
}

/** Runs what is there for a time. */
export async function goOn(machine: Machine, processor: Pick<Processor, "run">, time: number): Promise<void> {
	const running = machine.start(processor);
	await machine.advance(time);
	await running.stop();
}

/**
 * Repeats a run in which a process dies at its first call of the store, before or after the effect of that, then one in which
 * it dies at the second one, and so on, until it has made all of its calls. The fault counts from the creation of the process.
 */
export async function atEachDeath(
	make: () => Promise<Machine>,
	run: (machine: Machine, fault: Fault, place: readonly [call: number, death: string]) => Promise<void>,
): Promise<void> {
	let deaths = 0;
	for (const death of ["die before", "die after"] as const) {
		for (let call = 1, hasDied = true; hasDied; call++) {
			hasDied = false;
			const fault: Fault = (member, count) => {
				if (count !== call || member === "open") return undefined;
				hasDied = true;
				return death;
			};
			await run(await make(), fault, [call, death]);
			if (hasDied) deaths++;
		}
	}
	if (deaths < 10) throw new Error(`Only ${deaths} processes have died`);
}
