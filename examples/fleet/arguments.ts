/** The command line. */

import { parseOptions, UsageError } from "../shared/arguments.ts";

export const usage =
	`A fleet of worker processes delivers parcels from one Postgres, while workers are killed and replaced.

  fleet.ts [options]

  --workers <n>        the number of processes that work at the same time; default: 4
  --parcels <n>        the number of parcels; default: 10000
  --kill-every <s>     the time between two kills, in seconds; default: 3
  --kills <n>          the maximum number of kills; default: no limit
  --database <url>     your own Postgres, where it creates the schema "upkeep" and the table "fleet_deliveries";
                       default: a temporary server
  --help

Exit codes: 0 if each parcel was delivered exactly once, also after Ctrl-C; 1 if not; 2 after bad arguments.
`;

export interface Options {
	readonly workers: number;
	readonly parcels: number;
	/** Between two kills, in milliseconds. */
	readonly pace: number;
	readonly kills: number;
	/** `undefined`: a temporary server. */
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
