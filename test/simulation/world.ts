// What all simulated worlds have in common: processes on one store, the time, and what goes wrong.
import type { Change, Clock, Store } from "../../mod.ts";
import type { Data, Save, Settlement } from "../../src/store.ts";
import type { Fault, VirtualClock } from "../../src/testing/testing.ts";
import type { ClaimRecord, Entry, LedgerWatcher, Owner } from "./ledger.ts";
import type { Process } from "./process.ts";
import type { Roughness } from "./profile.ts";
import type { Random } from "./random.ts";
import type { StoreTransactions } from "./transactions.ts";
import { sleep } from "../../mod.ts";
import { excuseForCrash, excuseForKeeping, offer } from "./excuses.ts";
import { laws } from "./laws.ts";
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
	jumpedAt = -Infinity;
	wakeLostAt = -Infinity;
	/** By how much the clock was set back in all. */
	setBack = 0;
	/** Since when nothing goes wrong any more. */
	calmAt = Infinity;
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
		transactions?: StoreTransactions | undefined,
	) {
		this.random = random;
		this.profile = profile;
		this.#onTrace = onTrace;
		this.clock = clock;
		this.ledger = new Ledger(store, clock, this, transactions);
	}

	/** How many functions were called. */
	abstract readonly calls: number;
	abstract onSettle(owner: Owner, settlement: Settlement, isStored: boolean, record: ClaimRecord): void;
	/** A process was told to stop. */
	abstract checkAborted(process: Process): void;
	/** A process has stopped. */
	abstract checkStopped(process: Process): void;
	/** A process has stopped, perhaps to begin anew. */
	checkGivenBack(process: Process): void {
		for (const { id, record } of this.ledger.entries.values()) {
			if (record?.owner !== process || !this.ledger.isCurrent(record)) continue;
			const excuse = excuseForKeeping(this, record);
			record.isLeftBehind = true;
			if (excuse === undefined && laws.givesBack) {
				this.fail(`${process.name} has stopped, and has not given back ${id}`);
			} else this.trace(`${process.name} has not given back ${id}: ${excuse}`);
		}
	}

	/** A process was told that it has a claim, after another one on a task with that id. */
	onTold?(record: ClaimRecord, before: ClaimRecord | undefined): void;
	/** The lease of a claim is over by what its process knows: nothing goes on under it. */
	abstract checkLease(record: ClaimRecord): void;
	/** A process was frozen, and has had the time to see what has become of its claims. */
	checkLeases(process: Process): void {
		for (const record of process.told.values()) this.checkLease(record);
	}

	/** The claim of a task that was running has ended by its lease, and somebody takes it up. */
	onCrash(entry: Entry, record: ClaimRecord, next: Owner): void {
		const excuse = excuseForCrash(this, record, next);
		this.trace(`${record.owner.name} has lost ${entry.id} to ${next.name}: ${excuse}`);
		if (excuse !== undefined || !laws.crashes) return;
		this.fail(`${next.name} claims ${entry.id} as crashed, while ${record.owner.name} is well`);
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
	onCompleted?(owner: Owner, record: ClaimRecord): void;
	mayCountAsCommitted?(record: ClaimRecord): boolean;

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
	after(delay: number, action: () => void, clock: Clock): void {
		void sleep(delay, { clock }).then(action);
	}

	/** A call at which the process dies. */
	isFatal(): boolean {
		return !this.isCalm && !!this.profile.deaths && this.random.chance(this.profile.deaths);
	}

	/** Whether a wake-up gets lost, or is late. */
	loseWake(): Fault | undefined {
		if (this.isCalm || !this.random.chance(this.profile.lostWakes)) return undefined;
		this.wakeLostAt = this.clock.monotonic();
		this.trace("a wake-up is lost or late");
		return this.random.chance(0.5) ? { hang: true } : { delay: this.random.below(2_000) };
	}

	onError(process: Process, error: unknown): void {
		const { name, message, errors = [error] } = error as AggregateError;
		this.trace(`${process.name} reports ${name} ${message}`);
		const isExpected = errors.every(({ name }) => name === "StoreError" || name === "ClaimLostError");
		if (!isExpected) this.fail(`${process.name} reports ${error}`);
	}

	/** A process has ended because nothing was due. */
	checkDrained(process: Process): void {
		for (const { id, record } of this.ledger.entries.values()) {
			if (record?.owner !== process || !this.ledger.isCurrent(record)) continue;
			if (
				laws.givesBack && record.toldAt < Infinity && !record.isLeftBehind && record.knownUntil > this.clock.monotonic()
			) {
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
		const calmAt = this.isCalm ? this.calmAt : -Infinity;
		if (Math.max(process.disturbedAt, this.jumpedAt, calmAt) >= this.calmSince || process.isFrozen) return;
		if (this.activeCalls(process) > 0 || process.offeredAt >= this.clock.monotonic() - offer) return;
		const left = this.ledger.findClaimable((entry) => this.isKnown(process, entry));
		if (left !== undefined) this.fail(`${process.name} has nothing to do, and ${describe(left)} is due`);
	}

	/** Whether a process must have noticed when a task is due. */
	isKnown(process: Process, { addedBy, isFresh, lane, postedBy, record }: Entry): boolean {
		const wasTold = this.wakeLostAt < this.calmSince;
		// A renewal tells nobody; after the clock was set back, it makes a lease end earlier.
		const isShortened = record !== undefined && record.extendedAt >= this.calmSince &&
			this.jumpedAt >= record.claimedAt;
		if (wasTold && !isShortened) return true;
		return lane === undefined && (postedBy === process || (addedBy === process && isFresh));
	}

	/** A process is gone. */
	forget(process: Process): void {
		this.processes.splice(this.processes.indexOf(process as P), 1);
		this.ledger.forget(process);
	}

	/** For ever, as long as not everything is calm. */
	hang(process: Process): Promise<void> {
		return new Promise((resolve) => this.hanging.add(() => process.isAlive && resolve()));
	}

	/** All processes live, and are connected. */
	calm(): void {
		this.trace("calm");
		this.isCalm = true;
		this.calmAt = this.clock.monotonic();
		for (const process of this.processes) {
			process.line.heal();
			process.thaw();
		}
	}

	/** The wall clock is set. */
	jump(by: number): void {
		this.trace(`the clock jumps by ${by}`);
		this.clock.setNow(this.clock.now() + by);
		this.jumpedAt = this.clock.monotonic();
		this.setBack += Math.max(0, -by);
	}
}
