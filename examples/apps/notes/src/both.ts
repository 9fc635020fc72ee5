import type { Subscribable } from "upkeep";

/** A gate that is open while two others are. */
export function both(one: Subscribable<boolean>, other: Subscribable<boolean>): Subscribable<boolean> {
	return {
		subscribe(listener) {
			const ends = [one.subscribe(listener), other.subscribe(listener)];
			return () => ends.forEach((end) => end());
		},
		getSnapshot: () => one.getSnapshot() && other.getSnapshot(),
	};
}
