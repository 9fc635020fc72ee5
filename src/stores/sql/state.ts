/**
 * The values of the column `state`. Their order lets each index select its rows by one comparison, which is made for
 * every index whenever a task is added, claimed or removed, and a list of states would cost a third of the speed.
 *
 * The state includes holds: a `stopping` task is running and will then be `held`; a `stayed` task is blocked and will
 * be `held` as the head of its lane.
 *
 * @module
 */

export const waiting = 0;
export const running = 1;
export const blocked = 2;
export const stopping = 3;
export const held = 4;
export const stayed = 5;
export const dead = 6;
export const done = 7;

/** The states that a claim considers. */
export const isClaimable = "state < 2";
/** The states with a claim. */
export const isClaimed = "state IN (1, 3)";
/** The tasks in a lane, the head first. */
export const isInLane = "lane IS NOT NULL AND state < 6";
/** The other tasks. */
export const isAtHome = "state < 3";
/** The tasks that are held, dead or done, or will be held when their run has ended. */
export const isAside = "state > 2";
/** The dead and done tasks. */
export const isOver = "state > 5";
/** Those of them that were in a lane. */
export const isEndedInLane = "lane IS NOT NULL AND state > 5";

/** The due time of a task that only a message makes due: the largest safe integer. */
export const never = 9_007_199_254_740_991;
