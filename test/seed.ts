/**
 * The seed of all random tests. It is the same in each run, so that the result of the suite does not depend on
 * chance. In Node, Deno and Bun `UPKEEP_SEED=random` uses a new seed, and `UPKEEP_SEED=7` reproduces a failure. Pages
 * and workerd have no environment variables.
 */
export const seed: number = read();

function read(): number {
	const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
	const given = process?.env?.["UPKEEP_SEED"] || "20261121";
	const seed = given === "random" ? Math.floor(Math.random() * 2 ** 31) : Number(given);
	if (Number.isInteger(seed)) return seed;
	throw new RangeError(`UPKEEP_SEED must be an integer or "random": it is "${given}"`);
}
