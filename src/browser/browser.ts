/**
 * What a basket can make of a browser: hints when to try again, one leader among all tabs, a service worker that goes on
 * when the last tab is closed, and storage that the browser does not clear.
 *
 * All of it may be called in every runtime, and is harmless where the browser's part is missing.
 *
 * @module
 */

export { backgroundSync } from "./background-sync.ts";
export type { BackgroundSyncOptions, SyncableBasket, SyncRegistration } from "./background-sync.ts";
export { online, visible } from "./hints.ts";
export type { WakeHint } from "../basket/engine.ts";
export { leader } from "./leader.ts";
export type { LeaderOptions, Locks } from "./leader.ts";
export { persistStorage } from "./storage.ts";
export type { StorageReport } from "./storage.ts";
