// The tests for all stores, over a database of the caller.
import { test } from "vitest";
import { testStore } from "../../../../src/testing/testing.ts";
import { seed } from "../../../seed.ts";
import { fixture } from "./indexeddb-fixture.ts";
import { openOwn } from "./indexeddb-support.ts";

const register = (title: string, body: () => Promise<void>) => test(title, body, 60_000); // some tests store 10,000 tasks
testStore("indexedDBStore(database)", () => fixture(openOwn, openOwn), { test: register, seed });
