// The line between a simulated process and the store. Calls are slow, fail, or are late or lost. Sometimes the line
// is cut for longer than a lease.
import type { Fault, StoreCall } from "../../src/testing/testing.ts";
import type { LogRead } from "../../src/store.ts";
import type { World } from "./world.ts";
import { StoreError } from "../../mod.ts";

type Member = StoreCall["member"];

/**
 * - `"errs"`, `"hangs"`: no call reaches the store;
 * - `"waits"`: no connection is free, so calls wait in order until one is;
 * - the others only affect some members.
 */
export const cuts = [
	...["errs", "hangs", "waits", "renewals fail", "renewals hang", "turns fail", "turns hang"] as const,
];
export type Cut = typeof cuts[number];

const engineMembers: readonly Member[] = ["turn", "extend", "save", "hasten"];

/** Whether only the engine makes such a call, and only while it works. Users read logs, too, but without a claim. */
export function isOfEngine({ member, args }: Pick<StoreCall, "member" | "args">): boolean {
	return member === "log"
		? (args[1] as readonly LogRead[]).every(({ token }) => token !== undefined)
		: engineMembers.includes(member);
}

export class Line {
	readonly #world: World;
	readonly #lease: number;
	#cut: Cut | undefined;
	#healsAt = -Infinity;

	constructor(world: World, lease: number) {
		this.#world = world;
		this.#lease = lease;
	}

	cut(cut: Cut, duration: number): void {
		this.#cut = cut;
		this.#healsAt = this.#world.clock.monotonic() + duration;
	}

	heal(): void {
		this.#cut = undefined;
	}

	/** Returns the fault on the way to the store. */
	before(call: StoreCall): Fault | undefined {
		const { member } = call;
		return this.#end(call, this.#ofCut(member, false) ?? this.#ofCall(["unavailable", "busy", "full"]));
	}

	/** Returns the fault on the way back. It is never "full" or "busy", which mean that the call had no effect. */
	after(call: StoreCall): Fault | undefined {
		const { member } = call;
		return this.#end(call, this.#ofCut(member, true) ?? this.#ofCall(["unavailable"]));
	}

	/** Makes calls of the user end, because they are awaited without a limit. */
	#end(call: StoreCall, fault: Fault | undefined): Fault | undefined {
		const { member } = call;
		// A transaction that blocks no other may take any time. Otherwise its function limits the duration.
		const isLocking = member === "complete" && this.#world.ledger.transactions?.isExclusive;
		if (isLocking) return fault?.error === undefined ? undefined : { error: fault.error };
		if (!fault?.hang || member === "open" || isOfEngine(call)) return fault;
		return { delay: 2 * this.#lease, error: new StoreError("unavailable", "simulated timeout") };
	}

	#ofCall(codes: readonly ("unavailable" | "busy" | "full")[]): Fault | undefined {
		const { random, profile: { slowness, errors, lateness, hangs }, isCalm } = this.#world;
		if (isCalm) return undefined;
		if (random.chance(slowness)) return { delay: random.pick([1, 20, 300, 2_000, 12_000]) };
		if (lateness > 0 && random.chance(lateness)) {
			return { delay: Math.ceil(this.#lease * random.pick([1.1, 1.5, 2.5])) };
		}
		if (hangs > 0 && random.chance(hangs)) return { hang: true };
		if (!random.chance(errors)) return undefined;
		return { delay: random.pick([0, 0, 50]), error: new StoreError(random.pick(codes), "simulated") };
	}

	#ofCut(member: Member, isAnswer: boolean): Fault | undefined {
		const { random, clock } = this.#world;
		const left = Math.ceil(this.#healsAt - clock.monotonic());
		if (this.#cut === undefined || left <= 0) return undefined;
		const error = new StoreError("unavailable", "simulated cut");
		switch (this.#cut) {
			case "errs":
				return { delay: random.pick([0, 50]), error };
			case "hangs":
				return random.pick<Fault>([{ hang: true }, { delay: left }, { delay: left, error }]);
			case "waits":
				return isAnswer ? undefined : { delay: left };
			case "renewals fail":
				return member === "extend" && !isAnswer ? { error } : undefined;
			case "renewals hang":
				return member === "extend" ? { hang: true } : undefined;
			case "turns fail":
				return member === "turn" && !isAnswer ? { error } : undefined;
			case "turns hang":
				return member === "turn" ? { hang: true } : undefined;
		}
	}
}
