/**
 * Adds jobs to a processor: each becomes a task, whose payload is its first head.
 *
 * @module
 */

import {
	addTasks,
	type BasketEngine,
	chain,
	type Codec,
	cut,
	delayOf,
	isThenable,
	synchronous,
} from "../basket/engine.ts";
import type { Added, Data } from "../basket/store.ts";
import type { AnyJob } from "./definition.ts";
import type { NewJob } from "./options.ts";
import type { PreparedJob } from "./state.ts";
import { firstHead } from "./state.ts";
import { describe, kindOf } from "./version.ts";
import { check, refuse } from "../platform/check.ts";
import { validate } from "../platform/standard-schema.ts";

/** The jobs and the codec of the processor. */
export interface JobsToAdd {
	readonly jobs: ReadonlyMap<string, PreparedJob>;
	readonly codec: Codec;
}

/** Synchronous until the store is called, if there is a transaction. */
export async function addJobs<Tx>(
	engine: BasketEngine<Tx>,
	known: JobsToAdd,
	entries: Iterable<NewJob<AnyJob>>,
	tx: Tx | undefined,
): Promise<readonly Added[]> {
	const tasks = [];
	for (const entry of entries) {
		const { job, input, id, priority, lane, meta, ...times } = check("entry", entry, "object");
		for (const name of ["ifPresent", "within", "most"]) {
			if (name in times) refuse(name, times[name as never], "absent for a job");
		}
		const delay = delayOf(times, engine.settings.clock);
		const encoded = encode(known, job, input, delay, tx);
		const first = isThenable(encoded) ? await encoded : encoded;
		tasks.push({ id, priority, lane, meta, delay, kind: kindOf(job), ...first });
	}
	return await addTasks(engine, tasks, tx);
}

/** The first head of a job, and the key of its limit. */
interface First {
	readonly payload: Data;
	readonly limitKey: string | undefined;
}

/** Returns a promise only if the schema or the codec is asynchronous. */
function encode<Tx>(
	{ jobs, codec }: JobsToAdd,
	job: AnyJob,
	input: unknown,
	delay: number | undefined,
	tx: Tx | undefined,
): First | PromiseLike<First> {
	const name = check("job.name", check("job", job, "object").name, "string");
	const { version } = job;
	const known = jobs.get(kindOf({ name, version }))?.job;
	if (known === undefined) {
		throw new TypeError(`The processor has no job ${describe({ name: cut(name, 100), version })}`);
	}
	if (known !== job) throw new TypeError(`The processor has another job of the name ${describe(job)}`);
	const finish = (valid: unknown) => {
		const limitKey = known.limit?.keyOf(valid);
		const encoded = codec.encode(firstHead(known, input, delay));
		return chain(synchronous(encoded, tx), (payload) => ({ payload, limitKey }));
	};
	if (known.schema === undefined) return finish(input);
	return chain(synchronous(validate(known.schema, input), tx), finish);
}
