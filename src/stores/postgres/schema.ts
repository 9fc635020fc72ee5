/**
 * The tables, and how they came to be.
 *
 * @module
 */

import { functionsOf } from "./functions.ts";

/** The version that this library makes and works with. */
export const version = 1;

/** Quotes a name. */
export function quote(name: string): string {
	return `"${name}"`;
}

/**
 * What leads from each version to the next.
 *
 * `seq` is the order of all tasks. Ids that the store makes are `_` and the `seq`, and are not written down: to index every
 * id would cost a fifth of the speed.
 */
function migrations(s: string): readonly string[][] {
	return [[
		`CREATE TABLE ${s}.version (version integer NOT NULL);`,
		`INSERT INTO ${s}.version VALUES (0);`,
		`CREATE SEQUENCE ${s}.seq;`,
		`CREATE TABLE ${s}.tasks (
	seq bigint PRIMARY KEY,
	due bigint NOT NULL,
	added bigint NOT NULL,
	priority smallint NOT NULL,
	state smallint NOT NULL,
	attempts integer NOT NULL DEFAULT 0,
	crashes integer NOT NULL DEFAULT 0,
	claims integer NOT NULL DEFAULT 0,
	posted integer NOT NULL DEFAULT 0,
	seen integer NOT NULL DEFAULT 0,
	backoff boolean NOT NULL DEFAULT false,
	basket text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	payload text NOT NULL,
	id text COLLATE "C",
	lane text COLLATE "C",
	error text,
	progress text
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);`,
		`CREATE INDEX ON ${s}.tasks (basket, kind, priority DESC, due, seq) WHERE state < 2;`,
		`CREATE UNIQUE INDEX ON ${s}.tasks (basket, id) WHERE id IS NOT NULL;`,
		`CREATE INDEX ON ${s}.tasks (basket, lane, seq) WHERE lane IS NOT NULL AND state < 6;`,
		`CREATE INDEX ON ${s}.tasks (basket, state, seq) WHERE state > 3;`,
		`CREATE INDEX ON ${s}.tasks (basket, due) WHERE state = 7;`,
		`CREATE INDEX ON ${s}.tasks (basket, due) WHERE backoff AND state = 0;`,
		`CREATE TABLE ${s}.messages (task bigint, n integer, data text NOT NULL, PRIMARY KEY (task, n));`,
		`CREATE TABLE ${s}.lanes (basket text COLLATE "C" NOT NULL, lane text COLLATE "C" NOT NULL);`,
		...functionsOf(s),
	]];
}

/** One statement that makes everything that is not there yet; of several at the same time, one after the other. */
export function migration(s: string): string {
	const steps = migrations(s).map((statements, index) =>
		`IF v = ${index} THEN
${statements.join("\n")}
v := ${index + 1};
UPDATE ${s}.version SET version = v;
END IF;`
	);
	return `DO $upkeep$
DECLARE v integer := 0;
BEGIN
PERFORM pg_advisory_xact_lock(hashtextextended('upkeep ' || '${s}', 0));
IF to_regclass('${s}.version') IS NOT NULL THEN
	SELECT version INTO v FROM ${s}.version;
ELSIF to_regnamespace('${s}') IS NULL THEN
	CREATE SCHEMA ${s};
END IF;
${steps.join("\n")}
END $upkeep$;
`;
}
