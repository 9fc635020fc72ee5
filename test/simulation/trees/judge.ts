// The laws of a tree of jobs: what must hold of the children of a step that the job has passed, and of a whole tree that has
// ended.
import type { StoredTask } from "../../../src/store.ts";
import type { JobHead } from "../../../src/job/state.ts";
import type { TreeWorld } from "./world.ts";
import { isRevertible, type Place, placesOf } from "./shapes.ts";
import { childrenOf, isAlive, namesOf, type Node, ofPlace, readNode, shapeOf } from "./stored.ts";

interface Passing {
	readonly node: Node;
	/** All children of the job. */
	readonly children: readonly StoredTask[];
	readonly part: Place["part"];
	readonly place: number;
	/** Whether the job has passed the place forward, or else may have reverted it. */
	readonly isPassed: boolean;
}

function statusOf({ payload }: StoredTask): JobHead["status"] {
	return JSON.parse(payload as string).status;
}

/** Returns what is wrong with the children of a step that has been passed, forward or backward. */
export function childrenProblem(
	{ deleted }: TreeWorld,
	{ node: { state }, children, part, place, isPassed }: Passing,
): string | undefined {
	if (part.type !== "each" && part.type !== "job") return undefined;
	const own = ofPlace(children, state, place);
	const where = `and of ${part.name}`;
	const isForward = !state.isBackward;
	// Backward, those before the current place are done and stay so until it is their turn.
	if (!isForward && isPassed) return undefined;
	if (isForward && !isPassed) return own.length > 0 ? `${where} are ${own.length} children already` : undefined;
	const living = own.filter(isAlive);
	if (living.length > 0) return `${where} ${living.map(({ id, state }) => `${id} is ${state}`)}`;
	const completed = own.filter((task) => task.state === "done" && statusOf(task) === "completed").length;
	if (isForward) {
		const isOwn = (id: string) => id.startsWith(`${state.uid}/${place}/`) && own.every((child) => child.id !== id);
		const gone = [...deleted].filter(isOwn).length;
		const wanted = part.type === "job" ? 1 : part.items;
		if (own.length + gone !== wanted) return `${where} are ${own.length} children, should be ${wanted}`;
		const tolerate = part.type === "job" ? 0 : part.tolerate;
		// Those that were deleted may have been completed before.
		return completed + gone < wanted - tolerate ? `${where} only ${completed} are completed` : undefined;
	}
	return completed > 0 && isRevertible(part) ? `${where} ${completed} are not reverted` : undefined;
}

/** Returns what is wrong with a job that has ended, and with all below it. */
export async function treeProblem(world: TreeWorld, id: string): Promise<string | undefined> {
	const node = await readNode(world.store, id);
	if (node === undefined) return `${id} is gone`;
	const { task, state } = node;
	const children = await childrenOf(world.store, id);
	const living = children.filter(isAlive);
	if (living.length > 0) return `${id} has ended, and ${living.map(({ id, state }) => `${id} is ${state}`)}`;
	if (task.state === "dead") return undefined;
	const shape = shapeOf(world.shapes, task.kind);
	const problem = shape.isFlow
		? flowProblem(world, node)
		: logProblem(world, node) ?? await resultsProblem(world, node, children);
	if (problem !== undefined) return `${id} of ${shape.name} is ${state.status}: ${problem}`;
	for (const child of children) {
		const below = await treeProblem(world, child.id);
		if (below !== undefined) return below;
	}
	return undefined;
}

/** The log has each step once, and reverts them in reverse. */
function logProblem(world: TreeWorld, { task, state, done, reverted }: Node): string | undefined {
	const places = placesOf(shapeOf(world.shapes, task.kind));
	if (new Set(done).size < done.length) return `it has done ${done}`;
	const { status, revertError, unreverted = [] } = state;
	if (status === "completed") {
		if (done.length < places.length) return `it has only done ${done}`;
		return reverted.length > 0 ? `it has reverted ${reverted}` : undefined;
	}
	const isCalled = (at: number) => places[at]!.part.type === "step" && isRevertible(places[at]!.part);
	const wanted = done.filter(isCalled).sort((one, other) => other - one);
	const called = reverted.filter(isCalled);
	const rest = wanted.slice(called.length);
	if (`${[...called, ...rest]}` !== `${wanted}`) return `it has reverted ${called} of ${wanted}`;
	if (revertError === undefined) return rest.length > 0 ? `it has left ${rest}` : undefined;
	const left = rest.map((at) => places[at]!.name).filter((name) => !unreverted.includes(name));
	return left.length > 0 ? `it has forgotten ${left}` : undefined;
}

/** Each result is from a call of this run that has succeeded, or from the children. */
async function resultsProblem(
	world: TreeWorld,
	node: Node,
	children: readonly StoredTask[],
): Promise<string | undefined> {
	const { task, state, done, reverted } = node;
	for (const [place, { name, part }] of placesOf(shapeOf(world.shapes, task.kind)).entries()) {
		if (part.type === "sleep") continue;
		const own = ofPlace(children, state, place);
		if (state.status !== "completed" && state.revertError === undefined) {
			const left = own.filter((child) => child.state === "done" && statusOf(child) === "completed");
			if (left.length > 0 && isRevertible(part)) return `${left.map(({ id }) => id)} of ${name} are not reverted`;
		}
		if (!done.includes(place)) continue;
		const value = valueAt(state.results, name);
		if (part.type === "step") {
			const { uid, hasSucceeded, step } = world.calls.get(value as string) ?? {};
			if (uid !== state.uid || step !== name || !hasSucceeded) return `${name} has the result ${value}`;
			const isUndone = [...world.calls.values()].some((call) =>
				call.uid === uid && call.isRevert && call.step === name && call.hasSucceeded
			);
			if (reverted.includes(place) && isRevertible(part) && !isUndone) return `the revert of ${name} was skipped`;
		} else if (state.status === "completed") {
			const problem = await valueProblem(world, part, own, value);
			if (problem !== undefined) return `${name} has the result ${JSON.stringify(value)}, ${problem}`;
		}
	}
	return undefined;
}

function valueAt(results: Readonly<Record<string, unknown>>, name: string): unknown {
	if (Object.hasOwn(results, name)) return results[name];
	const [group, branch] = JSON.parse(name);
	return (results[group] as Record<string, unknown>)[branch];
}

/** Compares the result of a step with those of its children. */
async function valueProblem(
	{ store, deleted }: TreeWorld,
	part: Place["part"],
	children: readonly StoredTask[],
	value: unknown,
): Promise<string | undefined> {
	const values: unknown[] = [];
	for (const { id, state } of children) {
		const result = state === "done" ? (await readNode(store, id))!.state : undefined;
		const isGood = result?.status === "completed";
		values[Number(id.slice(id.lastIndexOf("/") + 1))] = isGood ? Object.values(result.results).at(-1) : undefined;
	}
	if (deleted.size > 0) {
		if (part.type !== "each" || part.hasInto) return undefined;
		const list = value as readonly unknown[];
		if (list.length !== part.items) return `of ${part.items} items`;
		// A child may have been deleted after its result was read.
		return differ(list.map((result, index) => index in values ? result : undefined), [
			...values,
			...list.slice(values.length).map(() => undefined),
		]);
	}
	if (part.type === "job") return part.job.isFlow ? undefined : differ(value, values[0]);
	if (part.type !== "each" || !part.hasInto) return differ(value, values);
	const folded = values.map((value, index) => value === undefined ? "" : `${index}:${value};`).join("");
	return differ(value ?? "", folded);
}

function differ(actual: unknown, expected: unknown): string | undefined {
	const [one, other] = [JSON.stringify(actual ?? null), JSON.stringify(expected ?? null)];
	return one === other ? undefined : `should be ${other}`;
}

/** A durable function that was reverted has reverted all that was done and has a revert. */
function flowProblem({ shapes }: TreeWorld, { task, state }: Node): string | undefined {
	const { status, revertError } = state;
	const { done, reverted } = namesOf(state.records);
	if (new Set(done).size < done.length) return `it has done ${done}`;
	if (status === "completed") return reverted.length > 0 ? `it has reverted ${reverted}` : undefined;
	if (revertError !== undefined) return undefined;
	const names = placesOf(shapeOf(shapes, task.kind)).filter(({ part }) => isRevertible(part)).map(({ name }) => name);
	const succeeded = new Set(
		state.records?.filter(({ error, isRevert }) => !error && !isRevert).map(({ name }) => name),
	);
	const wanted = names.filter((name) => succeeded.has(name)).reverse();
	return `${reverted}` === `${wanted}` ? undefined : `it has reverted ${reverted} of ${wanted}`;
}
