// Uses of one long-lived signal that must not leak. The listeners are counted in every engine. The heap is measured
// in engines in which a test can force a garbage collection.
import { Group, Intermittent, Lifecycle, run, Runner, Services } from "../mod.ts";

const reading = (context: { signal: AbortSignal }) => void context.signal.aborted;

/** Each function uses the signal once. It is called again when its promise has settled. */
export function useCases(): Record<string, (signal: AbortSignal) => Promise<unknown>> {
	const shared = new Intermittent(() => {});
	const group = new Group({ forget: true });
	const lifecycle = new Lifecycle(() => {});
	const services = new Services({ kinds: { a: () => new Lifecycle(() => {}) } });
	const created = services.create({ kind: "a" });
	return {
		"run() with a timeout, signal read": (signal) => run(reading, { signal, timeout: 60_000 }),
		"Runner.step()": (signal) => new Runner(reading).step({ signal }),
		"Group.spawn()": (signal) => group.spawn("a", reading, { signal }).wait({ signal }),
		"Lifecycle.waitForStateChange()": (signal) => {
			const changed = lifecycle.waitForStateChange(lifecycle.state, { signal });
			if (lifecycle.state === "active") lifecycle.stop();
			else lifecycle.start();
			return changed;
		},
		"Services.watch()": async (signal) => {
			await created;
			const changes = services.watch({ signal });
			await changes.next();
			const second = changes.next();
			await changes.return!();
			await second;
		},
		"Intermittent.attach() and wait()": async (signal) => {
			const controller = new AbortController();
			await shared.attach(controller.signal);
			const idle = shared.wait({ signal });
			controller.abort("a reason that is shared");
			await idle;
		},
	};
}
