// The common parts of all simulated worlds: processes on one store, the time, and the faults.
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
import { Tracing } from "./tracing.ts";

export abstract class World<P extends Process = Process> extends Tracing implements LedgerWatcher {
	readonly random: Random;
	readonly profile: Roughness;
	readonly ledger: Ledger;
	readonly processes: P[] = [];
	/** Functions that end hanging calls. */
	readonly hanging: Set<() => void> = new Set();
	/** Whether the faults have ended. */
	isCalm = false;
	/** The monotonic times of the last clock jump and of the last lost wake-up. */
	jumpedAt = -Infinity;
	wakeLostAt = -Infinity;
	/** The total time by which the clock was set back. */
	setBack = 0;
	/** The time when the faults ended. */
	calmAt = Infinity;

	constructor(
		random: Random,
		profile: Roughness,
		clock: VirtualClock,
		store: Store<never>,
		onTrace: ((line: string) => void) | undefined,
		transactions?: StoreTransactions | undefined,
	) {
		super(clock, onTrace);
		this.random = random;
		this.profile = profile;
		this.ledger = new Ledger(store, clock, this, transactions);
	}

	/** The number of function calls. */
	abstract readonly calls: number;
	abstract onSettle(owner: Owner, settlement: Settlement, isStored: boolean, record: ClaimRecord): void;
	/** Called when a process must stop. */
	abstract checkAborted(process: Process): void;
	/** Called when a process has stopped. */
	abstract checkStopped(process: Process): void;
	/** Checks the claims of a process that has stopped and may start again. */
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

	/** Called when a claim is reported to a process, with its previous claim on a task with this id. */
	onTold?(record: ClaimRecord, before: ClaimRecord | undefined): void;
	/** Checks that no run continues under a claim whose lease has ended as far as its process knows. */
	abstract checkLease(record: ClaimRecord): void;
	/** Checks the claims of a process that was frozen and has had the time to notice lost claims. */
	checkLeases(process: Process): void {
		for (const record of process.told.values()) this.checkLease(record);
	}

	/** Called when a process claims a task that was still running when its lease ended. */
	onCrash(entry: Entry, record: ClaimRecord, next: Owner): void {
		const excuse = excuseForCrash(this, record, next);
		this.trace(`${record.owner.name} has lost ${entry.id} to ${next.name}: ${excuse}`);
		if (excuse !== undefined || !laws.crashes) return;
		this.fail(`${next.name} claims ${entry.id} as crashed, while ${record.owner.name} is well`);
	}

	/** Called when a process learns that it has lost a claim. */
	abstract onLost(record: ClaimRecord): void;
	/** Called between two steps, when no event is pending. */
	abstract check(): void;
	/** Returns the number of running functions of a process. */
	protected abstract activeCalls(process: Process): number;
	onSave?(owner: Owner, save: Save, isStored: boolean, record: ClaimRecord): void;
	onPost?(owner: Owner, entry: Entry, data: Data): void;
	onDelete?(owner: Owner, entry: Entry): void;
	onAdd?(owner: Owner, entry: Entry): void;
	onPayload?(id: string, payload: Data): void;
	onItem?(id: string, item: Data): void;
	onHasten?(owner: Owner, entry: Entry): void;
	onClaim?(owner: Owner, record: ClaimRecord): void;
	onChange?(owner: Owner, entry: Entry, change: Change): void;
	onCompleted?(owner: Owner, record: ClaimRecord): void;
	mayCountAsCommitted?(record: ClaimRecord): boolean;

	/** Calls an action after a delay unless the process dies first. */
	after(delay: number, action: () => void, clock: Clock): void {
		void sleep(delay, { clock }).then(action);
	}

	/** Whether the process dies at this call. */
	isFatal(): boolean {
		return !this.isCalm && !!this.profile.deaths && this.random.chance(this.profile.deaths);
	}

	/** Returns the fault of a wake-up, which may be lost or late. */
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

	/** Checks a process that has ended because no task was due. */
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
		const left = this.ledger.findClaimable(
			process,
			(entry) => entry.changedIn < operation && this.ledger.readyBy(process, entry) <= at,
		);
		if (left !== undefined) this.fail(`${process.name} has drained, and ${describe(left)} is due`);
	}

	/** The time from which an engine must have checked its store, which it does at least once a minute. */
	protected get calmSince(): number {
		return this.clock.monotonic() - 61_000;
	}

	protected checkIdleness(process: Process): void {
		const calmAt = this.isCalm ? this.calmAt : -Infinity;
		if (Math.max(process.disturbedAt, this.jumpedAt, calmAt) >= this.calmSince || process.isFrozen) return;
		if (this.activeCalls(process) > 0 || process.offeredAt >= this.clock.monotonic() - offer) return;
		const left = this.ledger.findClaimable(process, (entry) => this.isKnown(process, entry));
		if (left !== undefined) this.fail(`${process.name} has nothing to do, and ${describe(left)} is due`);
	}

	/** Whether a process must know the due time of a task. */
	isKnown(process: Process, { addedBy, isFresh, lane, limitKey, postedBy, record }: Entry): boolean {
		const wasTold = this.wakeLostAt < this.calmSince;
		// A renewal causes no wake-up. After the clock was set back, it makes a lease end earlier.
		const isShortened = record !== undefined && record.extendedAt >= this.calmSince &&
			this.jumpedAt >= record.claimedAt;
		if (wasTold && !isShortened) return true;
		if (lane !== undefined || limitKey !== undefined) return false;
		return (postedBy === process || (addedBy === process && isFresh));
	}

	/** Called when a process has ended. */
	forget(process: Process): void {
		this.processes.splice(this.processes.indexOf(process as P), 1);
		this.ledger.forget(process);
	}

	/** Hangs until the faults end. */
	hang(process: Process): Promise<void> {
		return new Promise((resolve) => this.hanging.add(() => process.isAlive && resolve()));
	}

	/** Makes all processes live and connected. */
	calm(): void {
		this.trace("calm");
		this.isCalm = true;
		this.calmAt = this.clock.monotonic();
		for (const process of this.processes) {
			process.line.heal();
			process.thaw();
		}
	}

	/** Sets the wall clock. */
	jump(by: number): void {
		this.trace(`the clock jumps by ${by}`);
		this.clock.setNow(this.clock.now() + by);
		this.jumpedAt = this.clock.monotonic();
		this.setBack += Math.max(0, -by);
	}
}
