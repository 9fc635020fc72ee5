/**
 * What tests of code that uses this library need: a clock whose time the test moves.
 *
 * @module
 */

export { VirtualClock, type VirtualClockOptions } from "./testing/virtual-clock.ts";
