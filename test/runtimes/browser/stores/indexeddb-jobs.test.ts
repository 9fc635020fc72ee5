import type { OpenDatabase } from "../../../job/database.ts";
import { indexedDBStore, indexedDBStoreNames, upgradeIndexedDB } from "../../../../src/stores/indexeddb/indexeddb.ts";
import { testCrashes } from "../../../job/crashes.ts";
import { testDurable } from "../../../job/durable-laws.ts";
import { testJobs } from "../../../job/laws.ts";
import { committed, settled } from "./indexeddb-support.ts";

const openIndexedDB: OpenDatabase = async () => {
	const path = `upkeep-jobs-${Date.now()}`;
	const request = indexedDB.open(path, 1);
	request.onupgradeneeded = () => {
		request.result.createObjectStore("lines", { autoIncrement: true });
		upgradeIndexedDB(request.result, request.transaction!);
	};
	const database = await settled(request);
	return {
		connect(clock, name) {
			const open = new Set<IDBTransaction>();
			const store = indexedDBStore(database, { clock, durability: "relaxed" });
			return {
				store,
				async write(line, work) {
					const tx = database.transaction([...indexedDBStoreNames, "lines"], "readwrite", { durability: "relaxed" });
					const commit = committed(tx);
					commit.catch(() => {}); // reported by the cause of the abort
					open.add(tx);
					try {
						tx.objectStore("lines").add({ name, line });
						await work(tx);
						await commit;
					} catch (error) {
						if (tx.error === null) tx.abort();
						throw error;
					} finally {
						open.delete(tx);
					}
				},
				async lines() {
					const lines = await settled(database.transaction("lines").objectStore("lines").getAll());
					return lines.filter((line) => line.name === name).map(({ line }) => line);
				},
				cut: () => {
					for (const tx of open) tx.abort();
					open.clear();
				},
			};
		},
		close() {
			database.close();
			indexedDB.deleteDatabase(path);
			return Promise.resolve();
		},
	};
};

testJobs("indexedDBStore()", openIndexedDB);
testDurable("indexedDBStore()", openIndexedDB);
testCrashes("indexedDBStore()", openIndexedDB, { stride: 3 });
