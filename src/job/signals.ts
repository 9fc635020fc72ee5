/**
 * Messages to jobs.
 *
 * @module
 */

import { type BasketEngine, cut } from "../basket/engine.ts";
import type { JobOwner } from "./owner.ts";
import type { JobMessage, PreparedJob } from "./state.ts";
import { check } from "../platform/check.ts";
import { checkName } from "../platform/name.ts";
import { validate } from "../platform/standard-schema.ts";

/**
 * Checks a name and a value, as far as the definition is known here.
 *
 * @throws {TypeError} if the job does not wait for this name
 * @throws {ValidationError} if the value does not pass the schema of the step
 */
export async function checkSignalValue(job: PreparedJob | undefined, name: string, value: unknown): Promise<void> {
	const step = job?.steps.get(check("name", name, "string"))?.definition;
	// The names of a durable function are in its body.
	if (job !== undefined && job.job.engine === undefined && step?.type !== "waitFor") {
		throw new TypeError(`The job ${JSON.stringify(job.job.name)} does not wait for ${JSON.stringify(cut(name, 100))}`);
	}
	const schema = step?.options.schema;
	if (schema !== undefined) await validate(schema, value);
}

/** Adds a message to the inbox of a job. Returns whether the job exists and has not ended. */
export async function postTo<Tx>(
	{ store, name, codec }: JobOwner<Tx>,
	engine: BasketEngine<Tx>,
	id: string,
	message: JobMessage,
): Promise<boolean> {
	checkName("id", id);
	const data = await codec.encode(message);
	await engine.open();
	const isPosted = await store.post(name, id, data);
	if (isPosted) engine.changed();
	return isPosted;
}
