/**
 * Where all that is random in tests begins: the same in each run, since whether the suite passes must be no matter of luck.
 * `UPKEEP_SEED=random` explores in Node, Deno and Bun, and `UPKEEP_SEED=7` sees again what was found; pages and workerd have
 * no environment.
 */
export const seed: number = read();

function read(): number {
	const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
	const given = process?.env?.["UPKEEP_SEED"] || "20261121";
	const seed = given === "random" ? Math.floor(Math.random() * 2 ** 31) : Number(given);
	if (Number.isInteger(seed)) return seed;
	throw new RangeError(`UPKEEP_SEED must be an integer or "random": it is "${given}"`);
}
