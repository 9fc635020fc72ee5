/**
 * Browser support for baskets: hints when to retry, one leader among all tabs, a service worker that continues when
 * the last tab is closed, and storage that the browser does not delete.
 *
 * All functions can be called in every runtime, and do nothing harmful if the browser feature is missing.
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
