// See `postgres-rounds.ts`.
import process from "node:process";
import { parameters } from "../measure.ts";
import { measureQueue } from "./postgres-rounds.ts";

await measureQueue(...split(parameters().get("case")!));
process.exit();

/** Splits a label such as "Basket, pg, 10,000". */
function split(label: string): [string, number] {
	const [, name, count] = /^(.*), ([\d,]+)$/.exec(label)!;
	const isQuick = parameters().get("plan") === "quick";
	return [name!, Number(count!.replaceAll(",", "")) / (isQuick ? 10 : 1)];
}
