/**
 * Support for tests of code that uses this library: a virtual clock, a store that fails on request, and the tests
 * that a store must pass.
 *
 * @module
 */

export { type Fault, type FaultPlan, faultyStore, type FaultyStoreOptions, type StoreCall } from "./faulty-store.ts";
export { type SpaceFixture, type SpaceSuiteOptions, testRecordSpace } from "./space-suite.ts";
export { type StoreFixture, type StoreLack, type StoreSuiteOptions, testStore } from "./store-suite.ts";
export { VirtualClock, type VirtualClockOptions } from "./virtual-clock.ts";
