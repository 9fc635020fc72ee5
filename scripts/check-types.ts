// Type-checks everything that is TypeScript: the library, its tests, and the tools around them.
import { existsSync, globSync } from "node:fs";
import { execute } from "./command.ts";

const projects: string[] = ["tsconfig.json", "tsconfig.test.json", "tsconfig.tools.json", "tsconfig.apps.json"];
const folder = "node_modules/.cache/types";

export async function checkTypes(): Promise<void> {
	const runs: Promise<string>[] = projects.filter(existsSync).map((project: string) =>
		execute("tsc", ["-p", project, ...incremental(project)])
	);
	// Deno's own types, which tsc does not know.
	runs.push(execute("deno", ["check", "test/shim/vitest.deno.ts", ...globSync("test/runtimes/deno/**/*.ts")]));
	// With the imports of its own deno.json.
	runs.push(execute("deno", ["check", "main.ts", "thread.ts"], { cwd: "examples/apps/thumbnails" }));
	const outcomes: PromiseSettledResult<string>[] = await Promise.allSettled(runs);
	const failures = outcomes.filter((outcome) => outcome.status === "rejected");
	if (failures.length > 0) throw new Error(failures.map(({ reason }) => reason.message).join("\n"));
}

/** Arguments of tsc, which then checks only what has changed in a project since the last time. */
export function incremental(project: string): string[] {
	return ["--incremental", "--tsBuildInfoFile", `${folder}/${project}.tsbuildinfo`];
}
