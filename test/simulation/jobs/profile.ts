// The fault rates of a simulated run of jobs.
import type { Random } from "../random.ts";
import type { Roughness } from "../profile.ts";
import { type JobRules, makeRules } from "./definitions.ts";
import { hasLongFaults } from "../laws.ts";

const behaviours = {
	"return": 6,
	"throw": 1,
	"succeed": 3,
	"fail": 1,
	"succeed politely": 4,
	"fail politely": 1,
	"hang politely": 0.5,
	"hang": 0.3,
	"give up": 0.4,
	"retry after": 0.4,
	"retry now": 0.3,
	"reset the backoff": 0.3,
	"return nonsense": 0.2,
	"add": 0.3,
	"change itself": 1,
	"stop": 0.1,
	"die": 0,
};

const actions = {
	"add": 14,
	"advance": 25,
	"run": 3,
	"drain": 2,
	"stop": 2,
	"kill": 0,
	"jump": 0,
	"cut": 0,
	"freeze": 0,
	"hint": 1,
	"signal": 6,
	"cancel": 3,
	"hold": 2,
	"release": 3,
	"delete": 1.5,
	"wait": 3,
	"look": 2,
};

export type JobBehaviour = keyof typeof behaviours;
export type JobAction = keyof typeof actions;

export interface JobProfile extends Roughness {
	readonly deaths: number;
	readonly behaviours: typeof behaviours;
	readonly actions: typeof actions;
	/** The maximum number of jobs. */
	readonly jobs: number;
	readonly rules: readonly JobRules[];
	/** The settings of all processors. */
	readonly crashes: number;
	readonly retain: number;
}

export function makeJobProfile(random: Random): JobProfile {
	const sometimes = (value: number) => random.chance(0.5) ? value : 0;
	const isMerciless = random.chance(0.5);
	const long = { "cut": sometimes(1), "freeze": sometimes(0.7) };
	return {
		processes: 1 + random.below(3),
		steps: 40 + random.below(40),
		slowness: sometimes(0.05),
		errors: sometimes(0.06),
		lateness: hasLongFaults ? sometimes(0.01) : 0,
		hangs: hasLongFaults ? sometimes(0.01) : 0,
		lostWakes: random.pick([0, 0, 0.2, 1]),
		deaths: isMerciless ? random.pick([0, 0.01, 0.05]) : 0,
		behaviours: { ...behaviours, "die": isMerciless ? random.pick([1, 1, 8]) : 0 },
		actions: { ...actions, "kill": isMerciless ? 1 : 0, "jump": sometimes(1), ...(hasLongFaults ? long : {}) },
		jobs: 6 + random.below(12),
		rules: makeRules(random),
		crashes: random.pick([2, 3, 10]),
		retain: random.pick([20_000, 86_400_000]),
	};
}
