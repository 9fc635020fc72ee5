// Imports under src/ point downwards only: no cycles, no imports of mod.ts or of a room on the same floor. A room is imported
// through its door, the file with the name of the room; its other files are private.
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";

interface Import {
	from: string;
	to: string;
	typeOnly: boolean;
}

// From the ground up.
const floors: string[][] = [
	["platform"],
	["run", "schedule", "limit"],
	["group", "intermittent", "lifecycle", "reconcile", "pool", "basket"],
	["services", "job", "batch", "observer", "records", "stores/sql"],
	["inspection"],
	["store.ts", "stores", "browser", "http", "testing", "threads", "cron", "inspector", "otel"],
	["cli"],
];

/** Further doors, and the rooms that may use them. */
const doors: Readonly<Record<string, string>> = {
	"run/task.ts": "what a task is given and may throw, which every room that runs tasks passes on",
	"run/options.ts": "the options of every attempt, which every room that runs tasks takes",
	"run/execution.ts": "the engine of every attempt",
	"run/attempt.ts": "one attempt, for those who put attempts together in a way of their own",
	"run/observer.ts": "what observers are told, and by whom",
	"run/backoff.ts": "the delays between the runs of a poll and of a basket",
	"schedule/envelope.ts": "what a basket stores of a schedule",
	"schedule/recurring.ts": "for rooms that make schedules",
	"schedule/ticks.ts": "how a basket sees the code that runs schedules",
	"basket/store.ts": "the hook below a basket, which stores implement",
	"basket/place.ts": "the check of a task that is to replace another, for stores",
	"basket/in-parts.ts": "the order of settlements that do not fit into one commit, for stores",
	"basket/admission.ts": "the arithmetic of a limit of the basket, for stores that decide in their own code",
	"basket/observing.ts": "what a basket calls of an observer",
	"basket/engine.ts": "what jobs and batches are made of besides a basket",
	"basket/history.ts": "what a store keeps of attempts, which the command line shows",
	"job/state.ts": "what is stored of a job, which the command line shows",
	"job/decode.ts": "likewise",
	"job/branch-name.ts": "likewise",
	"job/groups.ts": "likewise",
	"job/log.ts": "likewise",
	"job/version.ts": "likewise",
	"job/children-view.ts": "likewise",
	"job/stored.ts": "likewise",
	"job/step-records.ts": "likewise",
	"job/processor.ts": "what an inspection shows and changes",
	"job/view.ts": "likewise",
	"job/restarting.ts": "jobs that have ended begin again, also by the command line",
	"records/owning.ts": "for stores that know when an owner of claims has gone",
	"records/key-text.ts": "for a store that has to know how long its keys become",
	"stores/sql/state.ts": "numbers, which are imported as a namespace",
	"stores/sqlite/connection.ts": "the command line opens files itself",
	"stores/sqlite/schema.ts": "likewise, and looks at their version first",
	"stores/sqlite/tables.ts": "likewise, by the names of their tables",
	"stores/sqlite/survey.ts": "what the command line tells of a whole database",
	"stores/postgres/survey.ts": "likewise",
	"stores/postgres/driver.ts": "the command line brings a client of its own",
	"stores/postgres/errors.ts": "likewise, and says what went wrong with it",
	"stores/postgres/schema.ts": "the command line prints it",
};

/** The longest that a file under src/ may be, in lines. */
const longest = 400;

export function checkLayers(): void {
	const imports: Import[] = globSync("src/**/*.ts").flatMap(importsOf);
	const faults: string[] = [
		...globSync("src/**/*.ts").filter(isLong).map((file) => `${file}: more than ${longest} lines; it holds two ideas`),
		...imports.filter(pointsUp).map(describe),
		...circles(imports),
		...imports.filter(goesByWindow).map((one: Import) => `${describe(one)}: it is not a door of its room`),
	];
	if (faults.length > 0) throw new Error(faults.join("\n"));
}

function isLong(file: string): boolean {
	return readFileSync(file, "utf8").trimEnd().split("\n").length > longest;
}

function importsOf(from: string): Import[] {
	const pattern: RegExp = /^(?:import|export)\b(\s+type\b)?[^;"']*?(?:from\s+)?"(\.[^"]+)"/gm;
	return Array.from(readFileSync(from, "utf8").matchAll(pattern), ([, type, path]: RegExpMatchArray): Import => ({
		from,
		to: join(dirname(from), path!),
		typeOnly: type !== undefined,
	}));
}

function pointsUp({ from, to, typeOnly }: Import): boolean {
	if (!to.startsWith("src/")) return true;
	if (roomOf(from) === roomOf(to)) return false;
	const [above, below]: number[] = [floorOf(from), floorOf(to)];
	// A store contains no part of the engine.
	const forStores: string[] = ["store.ts", "place.ts", "in-parts.ts", "admission.ts"].map((name) =>
		`src/basket/${name}`
	);
	if (from.startsWith("src/stores/") && roomOf(to) === "basket") return !typeOnly && !forStores.includes(to);
	return below! >= above!;
}

function goesByWindow({ from, to }: Import): boolean {
	const room: string = roomOf(to);
	// Every room may import the ground floor.
	if (roomOf(from) === room || room === "platform") return false;
	const path: string = to.slice("src/".length);
	return path !== `${room}/${room.split("/").at(-1)}.ts` && !(path in doors);
}

function floorOf(file: string): number {
	const room: string = roomOf(file);
	const names: string[] = [room, room.split("/")[0]!];
	const floor: number = floors.findIndex((rooms: string[]) => names.some((name: string) => rooms.includes(name)));
	if (floor < 0) throw new Error(`${file} is in no room that scripts/check-layers.ts knows`);
	return floor;
}

/** The folder under src/ or src/stores/, or a file outside of folders. */
function roomOf(file: string): string {
	const [, room, inner]: string[] = file.split("/");
	return room === "stores" ? `stores/${inner}` : room!;
}

function describe({ from, to }: Import): string {
	return `${from} must not import ${to}`;
}

// Removes files without imports or importers until there are none left: the remaining files form cycles.
function circles(imports: Import[]): string[] {
	const importing = new Set<string>(imports.map(({ from }: Import) => from));
	const imported = new Set<string>(imports.map(({ to }: Import) => to));
	const left: Import[] = imports.filter(({ from, to }: Import) => importing.has(to) && imported.has(from));
	if (left.length < imports.length) return circles(left);
	return left.map(({ from, to }: Import) => `${from} imports ${to} in a circle`);
}
