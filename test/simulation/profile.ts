// The fault rates of a simulated run. Each seed has its own rates, so that rare events coincide in some seeds.
import type { Random } from "./random.ts";
import { hasLongFaults } from "./laws.ts";

const behaviours = {
	"return": 4,
	"throw": 1,
	"succeed": 2,
	"fail": 1,
	"succeed politely": 3,
	"fail politely": 1,
	"change and fail": 1,
	"save": 1,
	"report": 1,
	"hang politely": 0.5,
	"hang": 0.3,
	"give up": 0.2,
	"retry after": 0.3,
	"retry now": 0.3,
	"put off": 0.7,
	"add": 0.3,
	"stop": 0.1,
	"die": 0,
};

/** The actions of a task that is completed in a transaction, with their weights. */
const endings = {
	"commit": 5,
	"commit and go on": 1,
	"commit and throw": 1.5,
	"complete twice": 1,
	"complete again": 1,
	"roll back": 1,
	"return": 1,
	"hang": 0.5,
	"die before": 0,
	"die after": 0,
};

export type TransactionEnding = keyof typeof endings;

const actions = {
	"add": 12,
	"add many": 3,
	"replace": 6,
	"collect": 4,
	"advance": 25,
	"run": 3,
	"drain": 2,
	"stop": 2,
	"pause": 1,
	"resume": 2,
	"pause all": 0.7,
	"resume all": 2,
	"kill": 0,
	"crash": 0,
	"jump": 0,
	"cut": 0,
	"freeze": 0,
	"finish": 1,
	"hint": 1,
	"hold": 1.5,
	"release": 2,
	"retry": 1.5,
	"delete": 2,
	"look": 1,
	"deploy": 1,
};

export type Action = keyof typeof actions;

/** The fault rates of any simulation. */
export interface Roughness {
	readonly processes: number;
	readonly steps: number;
	/** The probability that a call or an answer is slow or fails. */
	readonly slowness: number;
	readonly errors: number;
	/** The probability that a call takes longer than a lease, or gets no answer. */
	readonly lateness: number;
	readonly hangs: number;
	readonly lostWakes: number;
	/** The probability that a process dies just before or after a call. */
	readonly deaths?: number | undefined;
}

export interface Profile extends Roughness {
	readonly behaviours: typeof behaviours;
	readonly endings: typeof endings;
	readonly actions: typeof actions;
	/** The maximum number of tasks. */
	readonly tasks: number;
	/** Whether most of the tasks are of the kinds that have limits. */
	readonly isLimited: boolean;
}

export function makeProfile(random: Random): Profile {
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
		behaviours: { ...behaviours, "die": isMerciless ? 1 : 0 },
		endings: { ...endings, ...(isMerciless ? { "die before": 1, "die after": 1 } : {}) },
		actions: {
			...actions,
			"kill": isMerciless ? 1 : 0,
			"crash": isMerciless ? 1 : 0,
			"jump": sometimes(1.5),
			...(hasLongFaults ? long : {}),
		},
		tasks: 12 + random.below(18),
		isLimited: random.chance(0.25),
	};
}
