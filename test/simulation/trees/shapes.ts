// Random jobs that have children: lists, other jobs on three levels, branches, durable functions, and two versions of a job.
import type { Random } from "../random.ts";

/** What calls a function. */
export interface StepShape {
	readonly type: "step";
	readonly name: string;
	readonly hasRevert: boolean;
	readonly attempts: number;
	readonly revertAttempts: number;
}

export interface EachShape extends Omit<StepShape, "type"> {
	readonly type: "each";
	readonly items: number;
	readonly atOnce: number;
	readonly tolerate: number;
	readonly hasInto: boolean;
}

export type PartShape =
	| StepShape
	| EachShape
	| { readonly type: "sleep"; readonly name: string; readonly duration: number }
	| { readonly type: "all"; readonly name: string; readonly branches: readonly StepShape[] }
	| { readonly type: "job"; readonly name: string; readonly job: JobShape };

export interface JobShape {
	readonly name: string;
	readonly version: number | undefined;
	/** A durable function has steps only. */
	readonly isFlow: boolean;
	readonly parts: readonly PartShape[];
}

/** A place in the plan of a chain. */
export interface Place {
	/** The name in the plan. */
	readonly name: string;
	/** What has its result: the part, or a branch of it. */
	readonly part: Exclude<PartShape, { readonly type: "all" }>;
}

/** All jobs of a run. Those that are added are the last two, which are versions of one. */
export function makeShapes(random: Random): readonly JobShape[] {
	const shapes: JobShape[] = [];
	for (let level = 0; level <= 2; level++) {
		const below = [...shapes];
		for (let count = 1 + Number(level === 0); count > 0; count--) {
			const isFlow = level === 0 && count === 1;
			shapes.push({ name: `level ${level}.${count}`, version: undefined, isFlow, parts: parts(random, below, isFlow) });
		}
	}
	const below = [...shapes];
	for (const version of [1, 2]) {
		shapes.push({ name: "root", version, isFlow: false, parts: parts(random, below, false) });
	}
	return shapes;
}

function parts(random: Random, below: readonly JobShape[], isFlow: boolean): PartShape[] {
	const [first, ...more] = Array.from({ length: 1 + random.below(3) }, (_, index) => index);
	return [first!, ...more].map((index) => isFlow ? step(random, `s${index}`) : part(random, below, index));
}

function part(random: Random, below: readonly JobShape[], index: number): PartShape {
	const type = random.weighted({ step: 3, sleep: 0.4, all: 1, each: 3, job: below.length > 0 ? 3 : 0 });
	const name = `${type[0]}${index}`;
	switch (type) {
		case "step":
			return step(random, name);
		case "sleep":
			return { type, name, duration: random.pick([0, 5, 5_000]) };
		case "job":
			return { type, name, job: random.pick(below.slice(-3)) };
		case "all":
			return { type, name, branches: ["x", "y", "z"].slice(random.below(2)).map((branch) => step(random, branch)) };
		case "each":
			return {
				...step(random, name),
				type,
				items: random.pick([0, 1, 2, 3, 3, 5, 8]),
				atOnce: random.pick([1, 2, Infinity, Infinity]),
				tolerate: random.pick([0, 0, 1, 2, Infinity]),
				hasInto: random.chance(0.4),
			};
	}
}

function step(random: Random, name: string): StepShape {
	return {
		type: "step",
		name,
		hasRevert: random.chance(0.6),
		attempts: random.pick([1, 2, 3, Infinity]),
		revertAttempts: random.pick([1, Infinity, Infinity, Infinity]),
	};
}

/** The plan of a chain. */
export function placesOf({ parts }: JobShape): Place[] {
	return parts.flatMap((part): Place[] =>
		part.type === "all"
			? part.branches.map((branch) => ({ name: JSON.stringify([part.name, branch.name]), part: branch }))
			: [{ name: part.name, part }]
	);
}

/** Whether a job that is completed has anything to revert. A durable function may have. */
function mayRevert(shape: JobShape): boolean {
	return shape.isFlow || placesOf(shape).some(({ part }) => isRevertible(part));
}

export function isRevertible(part: Place["part"]): boolean {
	return part.type === "job" ? mayRevert(part.job) : part.type !== "sleep" && part.hasRevert;
}

/** The shape of the child of an item, which is a job of one step. */
export function itemShape({ name }: Pick<JobShape, "name">, part: EachShape): JobShape {
	return { name: `${name} ${part.name}`, version: undefined, isFlow: false, parts: [{ ...part, type: "step" }] };
}
