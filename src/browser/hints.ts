/**
 * Hints that a retry may succeed now, for the `wake` option of a basket.
 *
 * Do not use them as a gate: behind a VPN or a captive portal, browsers report offline and online wrongly, and a
 * queue that waits for them may wait forever.
 *
 * @module
 */

import type { WakeHint } from "../basket/engine.ts";
import { listen } from "../platform/awake.ts";
import { scope } from "../platform/scope.ts";
import { Snapshot } from "../platform/snapshot.ts";
import { whileSubscribed } from "../platform/while-subscribed.ts";

/**
 * A hint when the network of the browser is back, in pages and in workers.
 *
 * It listens only while it has subscribers. Outside browsers it never fires.
 *
 * @example
 * ```ts
 * import { online } from "upkeep/browser";
 *
 * const stop = online().subscribe(() => console.log("worth a try"));
 * stop();
 * ```
 */
export function online(): WakeHint {
	return hint(["online"], () => true);
}

/**
 * A hint when the page is visible again: it becomes visible, returns from the back/forward cache, or resumes after a
 * freeze.
 *
 * It listens only while it has subscribers. In workers and outside browsers it never fires.
 *
 * @example
 * ```ts
 * import { visible } from "upkeep/browser";
 *
 * const stop = visible().subscribe(() => console.log("worth a try"));
 * stop();
 * ```
 */
export function visible(): WakeHint {
	return hint(["visibilitychange", "pageshow", "resume"], ({ type, persisted }) => {
		if (type === "visibilitychange") return scope.document?.visibilityState === "visible";
		// `pageshow` is also sent when a page is loaded.
		return type === "resume" || persisted === true;
	});
}

/** `pageshow` events have `persisted`. */
type PageEvent = Event & { readonly persisted?: boolean };

function hint(types: readonly string[], isWorthIt: (event: PageEvent) => boolean): WakeHint {
	const occasions = new Snapshot(() => undefined);
	const begin = () => listen(types, (event) => isWorthIt(event as PageEvent) && occasions.changed());
	return { subscribe: whileSubscribed(occasions.subscribe, begin) };
}
