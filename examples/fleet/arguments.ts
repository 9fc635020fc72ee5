/** The command line. */

import { parseOptions, UsageError } from "../shared/arguments.ts";

export const usage =
	`A fleet of worker processes delivers parcels from one Postgres, while workers are killed and replaced.

  fleet.ts [options]

  --workers <n>        how many processes work at the same time; default: 4
  --parcels <n>        how many there are to deliver; default: 10000
  --kill-every <s>     how long a worker is left alone, in seconds; default: 3
  --kills <n>          how many workers are killed at most; default: as many as it comes to
  --database <url>     a Postgres of yours, where it makes the schema "upkeep" and the table "fleet_deliveries";
                       default: a throw-away server
  --help

Exit codes: 0 if each parcel was delivered exactly once, also after Ctrl-C; 1 if not; 2 after bad arguments.
`;

export interface Options {
	readonly workers: number;
	readonly parcels: number;
	/** Between two kills, in milliseconds. */
	readonly pace: number;
	readonly kills: number;
	/** `undefined`: one of its own. */
	readonly database: string | undefined;
	readonly isHelp: boolean;
}

export function readArguments(args: string[]): Options {
	const text = { type: "string" } as const;
	const { values } = parseOptions({
		args,
		options: {
			...{ workers: text, parcels: text, "kill-every": text, kills: text, database: text },
			help: { type: "boolean", short: "h" },
		},
	});
	return {
		workers: toNumber("workers", values.workers ?? "4", 1, 100),
		parcels: toNumber("parcels", values.parcels ?? "10000", 1, 10_000_000),
		pace: toNumber("kill-every", values["kill-every"] ?? "3", 0.1, 86_400) * 1_000,
		kills: values.kills === undefined ? Infinity : toNumber("kills", values.kills, 1, 1_000_000),
		database: values.database,
		isHelp: values.help === true,
	};
}

function toNumber(name: string, text: string, least: number, most: number): number {
	const number = Number(text);
	const isAllowed = text.trim() !== "" && number >= least && number <= most;
	if (!isAllowed || (least === 1 && !Number.isInteger(number))) {
		throw new UsageError(`--${name} takes ${least === 1 ? "a whole number" : "a number"} from ${least} to ${most}`);
	}
	return number;
}
