// The sizes are within their budgets (.size-limit.json: minified, brotli), and the built files add no more to a bundle than
// the sources.
import { type CommandError, execute } from "./command.ts";

interface Measurement {
	name: string;
	passed: boolean;
	size: number;
	sizeLimit: number;
}

/** The maximum ratio of the bundles of a built entry point and of its source. */
const tolerance = 1.03;

export async function checkSizes(): Promise<string> {
	const measurements: Measurement[] = await measure();
	const faults: string[] = measurements.filter(({ passed }: Measurement) => !passed).map(describeExcess);
	const [built, source]: number[] = ["run", "run from the sources"].map((wanted: string) =>
		measurements.find(({ name }: Measurement) => name === wanted)!.size
	);
	if (built! > source! * tolerance) faults.push(`run takes ${built} B from dist/ but ${source} B from the sources`);
	if (faults.length > 0) throw new Error(faults.join("\n"));
	return measurements.map(({ name, size }: Measurement) => `${name} ${formatSize(size)}`).join(", ");
}

/** The measured sizes, as the README quotes them. */
export async function measureSizes(): Promise<Map<string, string>> {
	return new Map((await measure()).map(({ name, size }: Measurement) => [name, formatSize(size)]));
}

async function measure(): Promise<Measurement[]> {
	const output: Promise<string> = execute("size-limit", ["--json"]);
	// If a budget is exceeded, size-limit ends with 1 but still prints the sizes.
	return JSON.parse(await output.catch((error: CommandError) => error.output || Promise.reject(error)));
}

function describeExcess({ name, size, sizeLimit }: Measurement): string {
	return `${name}: ${formatSize(size)} of at most ${formatSize(sizeLimit)}`;
}

export function formatSize(size: number): string {
	return `${size.toLocaleString("en-US")} B`;
}
