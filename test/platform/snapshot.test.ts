import { describe, expect, test } from "vitest";
import {
	Basket,
	Group,
	Intermittent,
	IntermittentMap,
	Lifecycle,
	memoryStore,
	poll,
	Pool,
	Runner,
	Services,
	type Subscribable,
} from "../../mod.ts";

const things: Record<string, () => Subscribable<unknown>> = {
	Basket: () => new Basket({ store: memoryStore(), tasks: {} }),
	Group: () => new Group(),
	GroupTask: () => new Group().spawn("a", () => {}),
	Intermittent: () => new Intermittent(() => {}),
	IntermittentMap: () => new IntermittentMap(() => {}),
	Lifecycle: () => new Lifecycle(() => {}),
	Pool: () => new Pool({ max: 1 }),
	Runner: () => new Runner(() => {}),
	Services: () => new Services({ kinds: {} }),
	"what poll() gives": () => poll(() => {}),
};

describe("subscribe()", () => {
	test.each(Object.entries(things))("of %s refuses what is no function", (_name, make) => {
		const { subscribe } = make();
		for (const listener of [undefined, null, "listener", {}, { handleEvent() {} }]) {
			expect(() => subscribe(listener as never)).toThrow(/^"listener" must be a function/);
		}
		const unsubscribe = subscribe(() => {});
		unsubscribe();
		unsubscribe();
	});
});
