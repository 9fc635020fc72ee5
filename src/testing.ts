/**
 * What tests of code that uses this library need: a clock whose time the test moves, a store that fails, and the tests that a
 * store has to pass.
 *
 * @module
 */

export {
	type Fault,
	type FaultPlan,
	faultyStore,
	type FaultyStoreOptions,
	type StoreCall,
} from "./testing/faulty-store.ts";
export { type SpaceFixture, type SpaceSuiteOptions, testRecordSpace } from "./testing/space-suite.ts";
export { type StoreFixture, type StoreLack, type StoreSuiteOptions, testStore } from "./testing/store-suite.ts";
export { VirtualClock, type VirtualClockOptions } from "./testing/virtual-clock.ts";
