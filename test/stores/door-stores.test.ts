// Argument checks of the stores; see door.test.ts.
import { expect, test } from "vitest";
import { denoKvStore } from "../../src/stores/deno-kv/deno-kv.ts";
import { indexedDBStore, withFallback } from "../../src/stores/indexeddb/indexeddb.ts";
import { postgresSchema, postgresStore } from "../../src/stores/postgres/postgres.ts";
import { sqliteStore } from "../../src/stores/sqlite/sqlite.ts";
import { noop, options, testDoors } from "../doors.ts";

const db = { prepare: () => ({ all: () => [], run: noop }), exec: noop };
const kv = { get: noop, getMany: noop, list: noop, atomic: noop, watch: noop, set: noop, delete: noop };
const client = { query: async () => ({ rows: [] }) };

test("the name of a file or an address in place of an open database is refused with what to give, and no password", () => {
	expect(() => sqliteStore("tasks.db" as never)).toThrow(/^"db" must be an open database, as `new DatabaseSync/);
	expect(() => postgresStore("postgres://ada:secret@host/db" as never)).toThrow(
		expect.objectContaining({
			name: "TypeError",
			message: '"client" must be a client, as `new Pool({ connectionString })` of pg is: it is a string',
		}),
	);
});

testDoors("stores", {
	"sqliteStore(db)": () => ({ names: /"db/, give: (value) => void sqliteStore(value) }),
	"sqliteStore(options)": () => ({
		names: /"(options|prefix|pollInterval|busyTimeout|clock)/,
		give: (value) => void sqliteStore(db as never, value),
	}),
	...options(["prefix", "pollInterval", "busyTimeout", "clock"], (options) => void sqliteStore(db as never, options)),
	"denoKvStore(kv)": () => ({ names: /"kv/, give: (value) => void denoKvStore(value) }),
	"denoKvStore(options)": () => ({
		names: /"(options|prefix|pollInterval|clock)/,
		give: (value) => void denoKvStore(kv as never, value),
	}),
	...options(["pollInterval", "clock"], (options) => void denoKvStore(kv as never, options)),
	"indexedDBStore(db)": () => ({ names: /"(db|name|database)/, give: (value) => void indexedDBStore(value) }),
	"indexedDBStore(options)": () => ({
		names: /"(options|durability|clock)/,
		give: (value) => void indexedDBStore("a", value),
	}),
	...options(["durability"], (options) => void indexedDBStore("a", options)),
	"withFallback(store)": () => ({
		names: /"store/,
		give: (value) => void withFallback(value, indexedDBStore("a") as never),
	}),
	"withFallback(fallback)": () => ({
		names: /"fallback/,
		give: (value) => void withFallback(indexedDBStore("a"), value),
	}),
	...options(
		["onFallback"],
		(options) => void withFallback(indexedDBStore("a"), indexedDBStore("b") as never, options),
	),
	"postgresStore(client)": () => ({ names: /"client/, give: (value) => void postgresStore(value) }),
	"postgresStore(options)": () => ({
		names: /"(options|schema|pollInterval|timeout)/,
		give: (value) => void postgresStore(client as never, value),
	}),
	...options(["schema", "pollInterval", "timeout"], (options) => void postgresStore(client as never, options)),
	"postgresSchema(options)": () => ({ names: /"(options|schema)/, give: (value) => void postgresSchema(value) }),
});
