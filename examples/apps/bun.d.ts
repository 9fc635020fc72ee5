// What orders uses of Bun, for the checks of this repository. In your own project, install @types/bun.

declare module "bun:sqlite" {
	export class Database {
		constructor(path: string);
		readonly inTransaction: boolean;
		run(sql: string, parameters?: unknown[]): unknown;
		prepare(sql: string): {
			all(...parameters: unknown[]): unknown[];
			get(...parameters: unknown[]): object | null;
			run(...parameters: unknown[]): { changes: number };
		};
		close(): void;
	}
}

declare namespace Bun {
	/** The parameters in a path. */
	type Parameters<Path> = Path extends `${string}:${infer Name}/${infer Rest}`
		? { [N in Name]: string } & Parameters<Rest>
		: Path extends `${string}:${infer Name}` ? { [N in Name]: string }
		: unknown;
	type Answer<Path> = (request: Request & { params: Parameters<Path> }) => Response | Promise<Response>;

	const env: Record<string, string | undefined>;
	function sleep(duration: number): Promise<void>;
	function serve<Paths extends string>(options: {
		hostname: string;
		port: number;
		routes: { [Path in Paths]: Answer<Path> | { GET: Answer<Path> } | { POST: Answer<Path> } };
	}): { readonly url: URL; stop(): Promise<void> };
}
