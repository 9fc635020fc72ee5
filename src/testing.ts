/**
 * What tests of code that uses this library need: a clock whose time the test moves, and the tests that a store has to pass.
 *
 * @module
 */

export { type StoreFixture, type StoreLack, type StoreSuiteOptions, testStore } from "./testing/store-suite.ts";
export { VirtualClock, type VirtualClockOptions } from "./testing/virtual-clock.ts";
