// Turns what an engine reports about a run into counts: Vitest's JSON, the JUnit XML of Deno and Bun, and the lines of tsc.
import { readFileSync } from "node:fs";

/** `skipped` counts every test that is there but did not run: skipped, to do, or left out by a filter. */
export interface Counts {
	passed: number;
	failed: number;
	skipped: number;
}

/** What a report is read from: the file that the engine was told to write, its output, and the test files it was given. */
export interface Source {
	report: string;
	output: string;
	files: readonly string[];
}

export type ReadReport = (source: Source) => Counts;

interface VitestFile {
	status: string;
	assertionResults: { status: string }[];
}

/** A test file that could not even be loaded has no results of its own: it is one failure. */
export function readVitest({ report }: Source): Counts {
	const { testResults }: { testResults: VitestFile[] } = JSON.parse(readFileSync(report, "utf8"));
	const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
	for (const { status, assertionResults } of testResults) {
		if (status === "failed" && !assertionResults.some((result) => result.status === "failed")) counts.failed++;
		for (const result of assertionResults) counts[vitestCount(result.status)]++;
	}
	return counts;
}

function vitestCount(status: string): keyof Counts {
	return status === "passed" || status === "failed" ? status : "skipped";
}

/** Suites are not test cases, neither with Bun nor through the shim that Deno's tests are registered by. */
export function readJunit({ report }: Source): Counts {
	const xml = readFileSync(report, "utf8");
	const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
	for (const [, body = ""] of xml.matchAll(/<testcase\b(?:[^>"]|"[^"]*")*?(?:\/>|>(.*?)<\/testcase>)/gs)) {
		counts[junitCount(body)]++;
	}
	return counts;
}

function junitCount(body: string): keyof Counts {
	if (/<(?:failure|error)\b/.test(body)) return "failed";
	return /<skipped\b/.test(body) ? "skipped" : "passed";
}

/** One test for each test file, failed if it has errors; other files (a source, a script) count only when they fail. */
export function readTypes({ output, files }: Source): Counts {
	const lines = output.matchAll(/^(.+?)\(\d+,\d+\): error TS\d+/gm);
	const failed = new Set([...lines].map(([, file]) => file));
	return { passed: files.filter((file) => !failed.has(file)).length, failed: failed.size, skipped: 0 };
}
