/**
 * The tables and their migrations.
 *
 * @module
 */

import { familyTables } from "./families.ts";
import { functionsOf } from "./functions.ts";
import { hashed, never, version } from "./sql.ts";

/** Quotes a name. */
export function quote(name: string): string {
	return `"${name}"`;
}

/**
 * Constraints against manual changes that could not be repaired. Postgres prepares them again for each statement that
 * writes tasks, so they are short. Without `::text` it would also compile a function each time.
 */
const sound = (): string =>
	`least(seq - 1, due, added, newer_due, newer_added) >= 0 AND greatest(seq, due, added, newer_due, newer_added) <= ${never}
	AND least(attempts, crashes, claims, posted, seen) >= 0 AND greatest(abs(priority), abs(newer_priority)) <= 100
	AND state BETWEEN 0 AND 7 AND (id IS NULL OR id <> '_' || seq::text)`;

/** The names of the functions of version 1. */
const first = [
	"clock",
	"promote",
	"enter",
	"add",
	"levels",
	"turn",
	"extend",
	"save",
	"remove",
	"change",
	"hasten",
	"post",
];

/**
 * The migrations from each version to the next. The last one creates the functions.
 *
 * `seq` is the order of all tasks. Ids that the store creates are `_` and the `seq`, and are not stored: indexing
 * every id would cost a fifth of the speed.
 *
 * `newer` and the columns after it are a payload that waits behind a running task, which it replaces at the end of the claim.
 * Columns without a value cost nothing: their bitmap fits into the padding of a row up to 72 columns.
 *
 * `gate` is the key of a limit, `place` that of a running task that was replaced by one with another key, and `started`
 * the start that its gate has counted: see gates.ts. `behind` is set for a running task behind the head of its lane: see runs.ts.
 * `log` is the number of its log: see log.ts. `worker` has the current claim, since `claimed`; a settlement removes both, so that
 * they show a claim that has ended otherwise. The columns of children are explained in families.ts.
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
	], [
		`FOR old IN SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace = to_regnamespace('${s}') AND p.proname = ANY ('{${first}}') AND p.proname <> 'clock'
LOOP
	EXECUTE 'DROP FUNCTION ' || old;
END LOOP;`,
		// Running tasks have a separate index: done tasks leave dead entries with their leases there, before the due tasks.
		`DROP INDEX ${s}.tasks_basket_kind_priority_due_seq_idx;`,
		`CREATE INDEX ON ${s}.tasks (basket, kind, priority DESC, due, seq) WHERE state = 0;`,
		`CREATE INDEX ON ${s}.tasks (basket, kind, priority DESC, due, seq) WHERE state = 1;`,
		`ALTER TABLE ${s}.messages ADD CONSTRAINT sound CHECK (n > 0) NOT VALID;`,
		`CREATE TABLE ${s}.levels (
	basket text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	priority smallint NOT NULL,
	low bigint NOT NULL,
	ends bigint NOT NULL,
	term bigint NOT NULL DEFAULT ${never},
	at bigint NOT NULL DEFAULT 0,
	x xid8,
	checked bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);`,
		`CREATE INDEX ON ${s}.levels (basket, kind);`,
		`INSERT INTO ${s}.levels SELECT basket, kind, priority, 0, 0 FROM ${s}.tasks GROUP BY basket, kind, priority;`,
	], [
		`FOR old IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = to_regnamespace('${s}') AND p.proname ~ '_2$' LOOP
	EXECUTE 'DROP FUNCTION ' || old;
END LOOP;`,
		`ALTER TABLE ${s}.tasks ADD result text, ADD newer text, ADD newer_priority smallint, ADD newer_added bigint, ADD newer_due bigint;`,
		// Existing rows may be damaged; new ones must be valid.
		`ALTER TABLE ${s}.tasks DROP CONSTRAINT IF EXISTS sound, ADD CONSTRAINT sound CHECK (${sound()}) NOT VALID;`,
		`DROP INDEX ${s}.tasks_basket_due_idx;`,
		`CREATE INDEX ON ${s}.tasks (basket, due) WHERE state > 5 AND due < ${never};`,
		// Tasks that have ended are not in the other index of lanes, where the head of a lane must come first.
		`CREATE INDEX ON ${s}.tasks (basket, lane, seq) WHERE lane IS NOT NULL AND state > 5;`,
	], [
		`FOR old IN SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = to_regnamespace('${s}') AND p.proname ~ '_3$' LOOP
	EXECUTE 'DROP FUNCTION ' || old;
END LOOP;`,
		`ALTER TABLE ${s}.tasks ADD gate text COLLATE "C", ADD place text COLLATE "C", ADD started bigint, ADD behind smallint, ADD log bigint,
	ADD meta text, ADD newer_meta text, ADD history text, ADD worker text, ADD claimed bigint;`,
		// Claims must not find tasks with a key here.
		`DROP INDEX ${s}.tasks_basket_kind_priority_due_seq_idx, ${s}.tasks_basket_kind_priority_due_seq_idx1;`,
		...[0, 1].map((state) =>
			`CREATE INDEX ON ${s}.tasks (${hashed("basket")}, ${
				hashed("kind")
			}, priority DESC, due, seq) WHERE state = ${state} AND gate IS NULL;`
		),
		`CREATE INDEX ON ${s}.tasks (basket, kind, gate, priority DESC, due, seq) WHERE gate IS NOT NULL AND state = 0;`,
		`CREATE INDEX ON ${s}.tasks (basket, kind, gate, due) WHERE gate IS NOT NULL AND state IN (1, 3);`,
		`CREATE INDEX ON ${s}.tasks (basket, kind, place) WHERE place IS NOT NULL;`,
		// For the limit of a basket, which counts held tasks that are running. Hardly any task is in it.
		`CREATE INDEX ON ${s}.tasks (basket) WHERE state = 3 AND gate IS NULL;`,
		`CREATE TABLE ${s}.gates (
	basket text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	gate text COLLATE "C" NOT NULL,
	area bigint NOT NULL,
	terms text COLLATE "C",
	ready bigint NOT NULL DEFAULT ${never},
	turn bigint NOT NULL DEFAULT nextval('${s}.seq'),
	next double precision NOT NULL DEFAULT 0,
	last bigint NOT NULL DEFAULT 0,
	spacing double precision NOT NULL DEFAULT 0,
	shut bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);`,
		`CREATE UNIQUE INDEX ON ${s}.gates (basket, kind, gate);`,
		`CREATE INDEX ON ${s}.gates (area, terms, ready, turn);`,
		`CREATE TABLE ${s}.notes (
	basket text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	gate text COLLATE "C" NOT NULL,
	due bigint NOT NULL,
	shut bigint,
	start bigint
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);`,
		`CREATE INDEX ON ${s}.notes (basket, kind, gate, due);`,
		`CREATE TABLE ${s}.log (task bigint, n integer CONSTRAINT sound CHECK (n > 0), data text NOT NULL, PRIMARY KEY (task, n))
	WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);`,
		...familyTables(s),
		`CREATE TABLE ${s}.leftovers (task bigint NOT NULL) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);`,
		...functionsOf(s),
	]];
}

/** One statement that creates everything that is missing. Concurrent calls run one after the other. */
export function migration(s: string): string {
	const steps = migrations(s).map((statements, index) =>
		`IF v = ${index} THEN
${statements.join("\n")}
v := ${index + 1};
UPDATE ${s}.version SET version = v;
END IF;`
	);
	return `DO $upkeep$
DECLARE v integer := 0; old regprocedure; path text := pg_catalog.current_setting('search_path');
BEGIN
PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
PERFORM pg_advisory_xact_lock(hashtextextended('upkeep ' || '${s}', 0));
IF to_regclass('${s}.version') IS NOT NULL THEN
	SELECT version INTO v FROM ${s}.version;
ELSIF to_regnamespace('${s}') IS NULL THEN
	CREATE SCHEMA ${s};
END IF;
${steps.join("\n")}
PERFORM set_config('search_path', path, true);
END $upkeep$;
`;
}

export { version };
