/**
 * Observers of tasks: they are told what happens, and may wrap the call of each function, for metrics, traces and logs. One
 * object serves everything that runs tasks. For traces and metrics by the conventions of OpenTelemetry, use `upkeep/otel`;
 * for the failed attempts of one runner, `onAttemptFailed`.
 *
 * @module
 */

import type { Observer, ObserverHooks } from "../run/observer.ts";
import { baskets } from "./baskets.ts";
import { watch } from "./calls.ts";
import { check, checkFunction } from "../platform/check.ts";

const members = ["adding", "started", "around", "ended", "renewed", "lost"] as const;

/**
 * Makes an observer, which is given as `observe` to `run`, `Runner`, `Group`, `Pool`, `Basket` and `Processor`.
 *
 * @param hooks what is called
 * @throws {TypeError} for a hook that is no function
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { observer, run } from "upkeep";
 *
 * const lines: string[] = [];
 * const observe = observer({ ended: ({ attempt }, { outcome }) => lines.push(`attempt ${attempt}: ${outcome}`) });
 * await run(({ attempt }) => {
 * 	if (attempt === 1) throw new Error("not yet");
 * }, { attempts: 2, observe });
 * assert.deepEqual(lines, ["attempt 1: failed", "attempt 2: done"]);
 * ```
 */
export function observer(hooks: ObserverHooks): Observer {
	check("hooks", hooks, "object");
	for (const member of members) checkFunction(member, hooks[member]);
	return { hooks, watch: (task, about, clock) => watch(hooks, task, about, clock), baskets };
}
