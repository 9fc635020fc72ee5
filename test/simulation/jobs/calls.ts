// The functions of simulated jobs, which behave in all possible ways, well or badly.
import type { RevertContext, StepContext } from "../../../mod.ts";
import type { ClaimRecord } from "../ledger.ts";
import type { JobBook } from "./books.ts";
import type { JobRules, StepRules } from "./definitions.ts";
import type { JobProcess } from "./process.ts";
import type { JobBehaviour } from "./profile.ts";
import type { JobWorld } from "./world.ts";
import { resetBackoff, retryAfter, retryNow, sleep, stopNow } from "../../../mod.ts";
import { untilAborted } from "../../support.ts";

/** A call of a function. */
export interface Call {
	readonly process: JobProcess;
	readonly session: number;
	/** The claim under which the call began. */
	readonly record: ClaimRecord;
	readonly book: JobBook;
	readonly step: StepRules;
	readonly isRevert: boolean;
	readonly context: RevertContext;
	/** The monotonic start time. */
	readonly beganAt: number;
	abortedAt: number;
	endedAt: number;
	isActive: boolean;
	outcome: "succeeded" | "failed" | undefined;
	/** The returned value. */
	value: unknown;
	/** The message of the thrown error. */
	message: string | undefined;
	/** The hint of the thrown error. */
	hint: "give up" | "retry after" | "retry now" | "reset the backoff" | undefined;
	delay: number;
	/** Whether the result of the call is stored. */
	isCounted: boolean;
}

export function perform(
	world: JobWorld,
	process: JobProcess,
	rules: JobRules,
	step: StepRules,
	isRevert: boolean,
	context: StepContext,
): unknown {
	if (!process.isAlive) return new Promise(() => {});
	const call = world.begin(process, rules, step, isRevert, context as RevertContext);
	if (call === undefined) return;
	const behaviour: JobBehaviour = world.isCalm ? "return" : world.random.weighted(world.profile.behaviours);
	world.trace(`${describeCall(call)} begins, attempt ${context.attempt}: ${behaviour}`);
	call.value = `${step.name} of ${context.id}, call ${world.calls}`;
	if (behaviour === "return") return end(world, call);
	if (behaviour === "throw") throw fail(world, call);
	return behave(world, call, behaviour).then(() => end(world, call), (error) => {
		call.message ??= error.message;
		call.outcome = "failed";
		end(world, call);
		throw error;
	});
}

export function describeCall({ process, step, isRevert, context }: Call): string {
	return `${process.name} ${isRevert ? "reverts" : "runs"} ${step.name} of ${context.id}`;
}

function end(world: JobWorld, call: Call): unknown {
	if (!call.process.isAlive) return;
	call.isActive = false;
	call.outcome ??= "succeeded";
	call.endedAt = world.clock.monotonic();
	world.trace(`${describeCall(call)} ends: ${call.outcome}`);
	return call.value;
}

/** Creates an error for the call to throw. */
function fail(world: JobWorld, call: Call): Error {
	const error = failure(call);
	call.outcome = "failed";
	end(world, call);
	return error;
}

function failure(call: Call): Error {
	call.message = `failed: ${call.value}`;
	return new Error(call.message);
}

async function behave(world: JobWorld, call: Call, behaviour: JobBehaviour): Promise<void> {
	const { random } = world;
	const { process, context } = call;
	const clock = process.taskClock;
	const wait = (delay: number) => sleep(delay, { clock });
	const politely = (delay: number) => sleep(delay, { clock, signal: context.signal });
	const delay = random.pick([0, 10, 500, 2_000, 8_000, 20_000]);
	switch (behaviour) {
		case "succeed":
			return await wait(delay);
		case "fail":
			await wait(delay);
			throw failure(call);
		case "succeed politely":
			return await politely(delay);
		case "fail politely":
			await politely(delay);
			throw failure(call);
		case "hang politely":
			return await Promise.race([untilAborted(context.signal), world.hang(process)]);
		case "hang":
			return await world.hang(process);
		case "give up":
			call.hint = behaviour;
			throw stopNow(failure(call));
		case "retry after":
			call.hint = behaviour;
			call.delay = delay;
			throw retryAfter(delay, failure(call));
		case "retry now":
			call.hint = behaviour;
			throw retryNow(failure(call));
		case "reset the backoff":
			call.hint = behaviour;
			throw resetBackoff(failure(call));
		case "return nonsense":
			call.value = random.pick([() => {}, 1n]);
			return;
		case "add":
			await process.processor.add(random.pick(process.jobs), 1_000 + world.calls);
			return;
		case "change itself":
			process.change(random.pick(["cancel", "hold", "delete", "signal"]), context.id);
			return await random.pick([politely, wait])(delay);
		case "stop":
			process.stop(true);
			return await politely(delay);
		case "die":
			process.kill();
			return await new Promise(() => {});
	}
}
