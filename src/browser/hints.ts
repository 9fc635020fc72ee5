/**
 * Hints that retries may be worth trying now, for the `wake` option of a basket.
 *
 * None of them is a gate: behind a VPN or a captive portal browsers report offline and online wrongly, and a queue that
 * waits for them may wait for ever.
 *
 * @module
 */

import type { WakeHint } from "../basket/engine.ts";
import { listen } from "../platform/awake.ts";
import { scope } from "../platform/scope.ts";
import { Snapshot } from "../platform/snapshot.ts";
import { whileSubscribed } from "./while-subscribed.ts";

/**
 * A hint that comes when the browser has got a network again, in pages and in workers.
 *
 * It listens only while somebody is subscribed. Outside of browsers it never comes.
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
 * A hint that comes when the page is seen again: it becomes visible, it comes out of the back/forward cache, or it was
 * frozen and goes on.
 *
 * It listens only while somebody is subscribed. In workers and outside of browsers it never comes.
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
		// A page that is loaded is shown, too.
		return type === "resume" || persisted === true;
	});
}

/** `persisted` is there in those of pages that are shown. */
type PageEvent = Event & { readonly persisted?: boolean };

function hint(types: readonly string[], isWorthIt: (event: PageEvent) => boolean): WakeHint {
	const occasions = new Snapshot(() => undefined);
	const begin = () => listen(types, (event) => isWorthIt(event as PageEvent) && occasions.changed());
	return { subscribe: whileSubscribed(occasions.subscribe, begin) };
}
