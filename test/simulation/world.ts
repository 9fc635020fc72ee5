// What all simulated worlds have in common: processes on one store, the time, and what goes wrong.
import type { Change, Data, Save, Settlement, Store } from "../../mod.ts";
import type { Fault, VirtualClock } from "../../src/testing.ts";
import type { ClaimRecord, Entry, LedgerWatcher, Owner } from "./ledger.ts";
import type { Process, ProcessClock } from "./process.ts";
import type { Roughness } from "./profile.ts";
import type { Random } from "./random.ts";
import { sleep, StoreError } from "../../mod.ts";
import { describe, Ledger } from "./ledger.ts";

export abstract class World<P extends Process = Process> implements LedgerWatcher {
	readonly random: Random;
	readonly profile: Roughness;
	readonly clock: VirtualClock;
	readonly ledger: Ledger;
	readonly processes: P[] = [];
	/** Ends what would hang for ever. */
	readonly hanging: Set<() => void> = new Set();
	/** Nothing goes wrong any more. */
	isCalm = false;
	/** When the clock has jumped last, and a wake-up was lost, on the monotonic clock. */
	jumpedAt = 0;
	wakeLostAt = 0;
	/** The first thing that was wrong. */
	failure: string | undefined;
	/** Of all that was traced. */
	hash = 0x811c9dc5;
	readonly #onTrace: ((line: string) => void) | undefined;

	constructor(
		random: Random,
		profile: Roughness,
		clock: VirtualClock,
		store: Store<never>,
		onTrace: ((line: string) => void) | undefined,
	) {
		this.random = random;
		this.profile = profile;
		this.#onTrace = onTrace;
		this.clock = clock;
		this.ledger = new Ledger(store, clock, this);
	}

	/** How many functions were called. */
	abstract readonly calls: number;
	abstract onSettle(owner: Owner, settlement: Settlement, isStored: boolean, record: ClaimRecord): void;
	abstract onCrash(entry: Entry, record: ClaimRecord): void;
	/** A process was told to stop. */
	abstract checkAborted(process: Process): void;
	/** A process has stopped. */
	checkStopped(process: Process): void {
		for (const { id, record } of this.ledger.entries.values()) {
			if (record?.owner === process && !record.isExcused && this.ledger.isCurrent(record)) {
				this.fail(`${process.name} has stopped, and has not given back ${id}`);
			}
		}
	}

	/** A process was told that it has lost a claim. */
	abstract onLost(record: ClaimRecord): void;
	/** Between two steps, when all that can happen now has happened. */
	abstract check(): void;
	/** How many functions are at work. */
	protected abstract activeCalls(process: Process): number;
	onSave?(owner: Owner, save: Save, isStored: boolean, record: ClaimRecord): void;
	onPost?(owner: Owner, entry: Entry, data: Data): void;
	onDelete?(owner: Owner, entry: Entry): void;
	onAdd?(owner: Owner, entry: Entry): void;
	onHasten?(owner: Owner, entry: Entry): void;
	onClaim?(owner: Owner, record: ClaimRecord): void;
	onChange?(owner: Owner, entry: Entry, change: Change): void;

	readonly fail = (text: string): void => {
		this.trace(`WRONG: ${text}`);
		this.failure ??= text;
	};

	readonly trace = (text: string): void => {
		const line = `${this.clock.monotonic()} ${text}`;
		for (let i = 0; i < line.length; i++) this.hash = Math.imul(this.hash ^ line.charCodeAt(i), 0x01000193);
		this.#onTrace?.(line);
	};

	/** Calls back after a delay, unless the process dies before. */
	after(delay: number, action: () => void, clock: ProcessClock): void {
		void sleep(delay, { clock }).then(action);
	}

	/** What goes wrong on the way to the store and back. */
	readonly faults = {
		before: (): Fault | undefined => this.#fault(["unavailable", "busy", "full"]),
		// What was done may be known to have been done or not, but "full" and "busy" say that it was not.
		after: (): Fault | undefined => this.#fault(["unavailable"]),
		/** A call at which the process dies. */
		isFatal: (): boolean => !this.isCalm && !!this.profile.deaths && this.random.chance(this.profile.deaths),
		wake: (): Fault | undefined => {
			if (this.isCalm || !this.random.chance(this.profile.lostWakes)) return undefined;
			this.wakeLostAt = this.clock.monotonic();
			this.trace("a wake-up is lost or late");
			return this.random.chance(0.5) ? { hang: true } : { delay: this.random.below(2_000) };
		},
	};

	#fault(codes: readonly ("unavailable" | "busy" | "full")[]): Fault | undefined {
		if (this.isCalm) return undefined;
		const { random, profile } = this;
		if (random.chance(profile.slowness)) return { delay: random.pick([1, 20, 300, 2_000, 12_000]) };
		if (!random.chance(profile.errors)) return undefined;
		return { delay: random.pick([0, 0, 50]), error: new StoreError(random.pick(codes), "simulated") };
	}

	onError(process: Process, error: unknown): void {
		const name = (error as Error)?.name;
		this.trace(`${process.name} reports ${name} ${(error as Error)?.message}`);
		if (name !== "StoreError" && name !== "ClaimLostError") this.fail(`${process.name} reports ${error}`);
	}

	/** A process has ended because nothing was due. */
	checkDrained(process: Process): void {
		for (const { id, record } of this.ledger.entries.values()) {
			if (record?.owner === process && !record.isExcused && this.ledger.isCurrent(record)) {
				this.fail(`${process.name} has drained, and has not settled ${id}`);
			}
		}
		const { operation, at } = process.lastTurn;
		const left = this.ledger.findClaimable(({ changedIn, dueBy }) => changedIn < operation && dueBy <= at);
		if (left !== undefined) this.fail(`${process.name} has drained, and ${describe(left)} is due`);
	}

	/** An engine looks at its store once a minute, whatever it was told. */
	protected get calmSince(): number {
		return this.clock.monotonic() - 61_000;
	}

	protected checkIdleness(process: Process): void {
		if (process.disturbedAt >= this.calmSince) return;
		if (this.jumpedAt >= this.calmSince || this.activeCalls(process) > 0) return;
		const wasTold = this.wakeLostAt < this.calmSince;
		const left = this.ledger.findClaimable(({ addedBy, isFresh, lane, postedBy }) =>
			wasTold || (lane === undefined && (postedBy === process || (addedBy === process && isFresh)))
		);
		if (left !== undefined) this.fail(`${process.name} has nothing to do, and ${describe(left)} is due`);
	}

	/** A process is gone. */
	forget(process: Process): void {
		this.processes.splice(this.processes.indexOf(process as P), 1);
	}

	/** For ever, as long as not everything is calm. */
	hang(process: Process): Promise<void> {
		return new Promise((resolve) => this.hanging.add(() => process.isAlive && resolve()));
	}

	calm(): void {
		this.isCalm = true;
		this.jumpedAt = this.clock.monotonic();
		this.trace("calm");
	}

	/** The wall clock is set. */
	jump(by: number): void {
		this.trace(`the clock jumps by ${by}`);
		this.clock.setNow(this.clock.now() + by);
		this.jumpedAt = this.clock.monotonic();
		this.ledger.excuse(() => true);
	}
}
