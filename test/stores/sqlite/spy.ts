// A connection that reports each statement that runs, for tests of what a store asks SQLite.
import type { Database } from "./suite.ts";

/** Returns the same connection, which calls `onRun` with the SQL and its values before each statement. */
export function spyOnStatements(
	db: Database,
	onRun: (sql: string, way: "all" | "run", values: readonly unknown[]) => void,
): Database {
	return new Proxy(db, {
		get(_, key) {
			const value = Reflect.get(db, key) as unknown;
			if (key !== "prepare") return typeof value === "function" ? value.bind(db) : value;
			return (sql: string) => {
				const statement = db.prepare(sql);
				return {
					all(...values: unknown[]) {
						onRun(sql, "all", values);
						return statement.all(...values);
					},
					run(...values: unknown[]) {
						onRun(sql, "run", values);
						return statement.run(...values);
					},
				};
			};
		},
	});
}
