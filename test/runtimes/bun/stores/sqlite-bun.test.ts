import { type Open, testSqlite } from "../../../stores/sqlite/suite.ts";

// The modules of Bun have no types here.
const name = "bun:sqlite";
const { Database }: { Database: new (path: string, options?: { readonly: boolean }) => ReturnType<Open> } =
	await import(
		name
	);

testSqlite(
	"sqliteStore() of bun:sqlite",
	(path, isReadOnly) => isReadOnly ? new Database(path, { readonly: true }) : new Database(path),
	false,
);
