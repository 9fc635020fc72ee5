// The line between one simulated process and the store: calls are slow, fail, come late or never, and now and then the
// line is cut for longer than a lease.
import type { Fault, StoreCall } from "../../src/testing/testing.ts";
import type { World } from "./world.ts";
import { StoreError } from "../../mod.ts";

type Member = StoreCall["member"];

/**
 * - `"errs"`, `"hangs"`: no call comes through;
 * - `"waits"`: there is no free connection, so that calls wait for one, in order, and come through when there is;
 * - the others: of some members only.
 */
export const cuts = [
	...["errs", "hangs", "waits", "renewals fail", "renewals hang", "turns fail", "turns hang"] as const,
];
export type Cut = typeof cuts[number];

/** What only the engine calls, and only while it works. */
export const engineMembers: readonly string[] = ["turn", "extend", "save", "hasten"];

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

	/** What goes wrong on the way to the store. */
	before(member: Member): Fault | undefined {
		return this.#end(member, this.#ofCut(member, false) ?? this.#ofCall(["unavailable", "busy", "full"]));
	}

	/** What goes wrong on the way back: "full" and "busy" would say that nothing was done. */
	after(member: Member): Fault | undefined {
		return this.#end(member, this.#ofCut(member, true) ?? this.#ofCall(["unavailable"]));
	}

	/** What the user has called is waited for without end, so that it must come to one. */
	#end(member: Member, fault: Fault | undefined): Fault | undefined {
		// A transaction that nobody else waits for may take any time; otherwise its function says for how long they do.
		const isLocking = member === "complete" && this.#world.ledger.transactions?.isExclusive;
		if (isLocking) return fault?.error === undefined ? undefined : { error: fault.error };
		if (!fault?.hang || [...engineMembers, "open"].includes(member)) return fault;
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
