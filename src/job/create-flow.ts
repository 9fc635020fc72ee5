/**
 * Makes what the body of a durable function is given, and checks what the body asks for.
 *
 * @module
 */

import type { FlowCall, FlowRequest } from "./flow-call.ts";
import type { Flow, FlowName, FlowStepOptions } from "./flow.ts";
import type { WaitForOptions } from "./job.ts";
import type { FlowType } from "./state.ts";
import { check, checkCount, checkFinite, checkFunction, checkLimit, refuse } from "../platform/check.ts";
import { checkName } from "../platform/name.ts";
import { checkSchema, validate } from "../platform/standard-schema.ts";
import { checkRunnerOptions, type RunnerSettings } from "../run/options.ts";
import { chain } from "../basket/engine.ts";

/** @param register tells the current pass of a request */
export function createFlow(
	about: Pick<Flow, "id" | "meta" | "version">,
	defaults: RunnerSettings,
	register: (request: FlowRequest) => FlowCall,
): Flow {
	const ask = (name: FlowName, type: FlowType, rest: Partial<FlowRequest>) =>
		register({ name: nameOf(name), type, duration: 0, options: {}, schema: undefined, ...rest }).promise;
	const flow: { readonly [K in keyof Flow]: unknown } = {
		...about,
		step(name: FlowName, run: () => unknown, options: FlowStepOptions<unknown> = {}) {
			check("run", run, "function");
			const { schema, revert, revertAttempts = Infinity } = check("options", options, "object");
			checkSchema(schema);
			checkFunction("revert", revert);
			checkCount("revertAttempts", revertAttempts);
			const settings = checkRunnerOptions(options, defaults);
			return ask(name, "step", { run: checked(run, schema), options, schema, settings });
		},
		sleep: (name: FlowName, duration: number) => ask(name, "sleep", { duration: checkFinite("duration", duration) }),
		waitFor(name: FlowName, options: WaitForOptions<unknown> = {}) {
			const { timeout = Infinity, schema } = check("options", options, "object");
			checkSchema(schema);
			return ask(name, "waitFor", { duration: checkLimit("timeout", timeout), schema });
		},
	};
	return flow as Flow;
}

/** A function whose result its schema validates. */
function checked(run: (context: never) => unknown, schema: FlowRequest["schema"]): FlowRequest["run"] {
	if (schema === undefined) return run as FlowRequest["run"];
	return (context) => chain(run(context as never), (value) => validate(schema, value));
}

/** The text of a name. */
function nameOf(name: FlowName): string {
	if (!Array.isArray(name)) {
		return checkName("name", name as string) === "__proto__" ? refuse("name", name, "another one") : name as string;
	}
	const isPlain = name.every((part) =>
		part === null || ["string", "boolean"].includes(typeof part) || Number.isFinite(part)
	);
	check("name", name, "object", isPlain, "a text, or a list of texts, finite numbers, booleans and null");
	return checkName("name", JSON.stringify(name));
}
