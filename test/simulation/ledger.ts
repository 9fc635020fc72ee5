// Keeps simple records of the content of a store, as documented in `src/basket/store.ts`, and compares each answer of
// the store with them.
import type { Added, Change, Counts, Pauses, Store } from "../../mod.ts";
import type {
	Claim,
	ClaimOrigin,
	ClaimRequest,
	Data,
	Done,
	KindLimit,
	ListQuery,
	LogEntry,
	LogPart,
	LogRead,
	Message,
	NewTask,
	Outcome,
	Ref,
	Save,
	Settlement,
	StoredTask,
	Turn,
	TurnResult,
} from "../../src/store.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import type { StoreTransaction, StoreTransactions } from "./transactions.ts";
import type { ModelStart } from "../../src/testing/store-suite/limit-model.ts";
import { mostAppended } from "../../src/basket/claim.ts";
import { deferred } from "../support.ts";
import { LimitBook } from "./limit-book.ts";

/** The owner of a claim. */
export interface Owner {
	readonly name: string;
	readonly isAlive: boolean;
	/** The limits with which it claims. */
	readonly limits?: readonly KindLimit[] | undefined;
}

/** The record of a claim, which also stays after its end. */
export interface ClaimRecord {
	readonly number: number;
	readonly claim: Claim;
	readonly owner: Owner;
	/** The claimed task, not one that is added later with the same id. */
	readonly entry: Entry;
	/** The previous claim, if it ended with its lease. */
	readonly before: ClaimRecord | undefined;
	/** The monotonic times of the claim and of the last extension of its lease. */
	readonly claimedAt: number;
	extendedAt: number;
	/** The time until which no other process gets the task if the wall clock is not set. */
	safeUntil: number;
	/** The times when its owner requested it, when it was reported to the owner, and until which the owner may rely on it. */
	askedAt: number;
	toldAt: number;
	knownUntil: number;
	/** The time when the owner learned this, and the end that it knew before. */
	learnedAt: number;
	knownBefore: number;
	/** The time when the lease had ended as far as its owner knew. After this time the owner only releases the claim. */
	overAt: number;
	/** The requested outcome of its owner. */
	settledAs: Outcome["type"] | undefined;
	/** Whether the task was deleted. */
	isDeleted: boolean;
	/** Whether its owner has stopped without being able to release it. */
	isLeftBehind: boolean;
	/**
	 * Whether its owner has ever requested a completion in a transaction, whether such a transaction is open, and
	 * whether it was committed.
	 */
	wasCompleting: boolean;
	isCompleting: boolean;
	isCompleted: boolean;
	/** The number of attempts to extend the lease since the last success. */
	tries: number;
	/** The monotonic time of the end of its run. */
	endedAt: number;
}

/** A transaction of a process. */
export interface Transaction {
	readonly tx: unknown;
	readonly isOpen: boolean;
	/** Writes the mark of a task to the store. */
	mark(entry: Entry): void | Promise<void>;
	/** Resolves with whether the transaction is committed. */
	commit(): Promise<boolean>;
	rollBack(): Promise<void>;
}

/** Less than any time after which a task is due, but more than none. */
const shortest = 0.001;

/** The record of a task. */
export interface Entry {
	readonly id: string;
	readonly kind: string;
	priority: number;
	readonly lane: string | undefined;
	limitKey: string | undefined;
	/** The start of its claim, if a limit has counted it. */
	start: ModelStart | undefined;
	addedAt: number;
	/** The process whose add was the last one. */
	addedBy: Owner;
	readonly order: number;
	payload: unknown;
	/** The result of a done task. */
	result: unknown;
	/** Whether its items are collected: they are its messages. */
	isCollected: boolean;
	/** The payload that waits behind the running task. */
	replacement: Replacement | undefined;
	state: "waiting" | "running" | "dead" | "done";
	isHeld: boolean;
	isBackingOff: boolean;
	/** The time when it is due, its lease ends, or it may be removed: not before `due`, and not after `dueBy`. */
	due: number;
	dueBy: number;
	attempts: number;
	crashes: number;
	error: string | undefined;
	progress: string | undefined;
	record: ClaimRecord | undefined;
	/** The posted messages that are not removed yet. */
	inbox: readonly Message[];
	/** The total number of messages. */
	posted: number;
	/** The entries of its log. */
	log: readonly Data[];
	meta: string | undefined;
	history: string | undefined;
	/** Its claim, or the last one if that ended without a settlement. */
	origin: ClaimOrigin | undefined;
	/** The process whose message has made the task due, if no operation has followed. */
	postedBy: Owner | undefined;
	/** Whether the retention of the task had ended at some time, so that a store may have removed it. */
	mayBeGone: boolean;
	/** Whether the due time follows from the last add alone, and no operation has followed it. */
	isFresh: boolean;
	/** The number of the last operation that changed the task. */
	changedIn: number;
}

/** A payload that waits behind a running task. */
interface Replacement {
	readonly payload: unknown;
	readonly priority: number;
	readonly limitKey: string | undefined;
	readonly meta: string | undefined;
	/** The time of the first such add during this run. */
	readonly addedAt: number;
	/** The earliest due time. */
	readonly due: number;
}

/** The events for the rest of the simulation. */
export interface LedgerWatcher {
	fail(text: string): void;
	trace(text: string): void;
	onSettle(owner: Owner, settlement: Settlement, isStored: boolean, record: ClaimRecord): void;
	/** Called when a process claims a task that was still running when its lease ended. */
	onCrash(entry: Entry, record: ClaimRecord, next: Owner): void;
	/** This callback and the next ones are called before the records are updated. */
	onSave?(owner: Owner, save: Save, isStored: boolean, record: ClaimRecord): void;
	onPost?(owner: Owner, entry: Entry, data: Data): void;
	onDelete?(owner: Owner, entry: Entry): void;
	/** This callback and the next ones are called after the records are updated. */
	onAdd?(owner: Owner, entry: Entry): void;
	/** Called when an add has stored a payload: in a new task, or in place of another payload. */
	onPayload?(id: string, payload: Data): void;
	/** Called when an add has stored an item of a task. */
	onItem?(id: string, item: Data): void;
	onHasten?(owner: Owner, entry: Entry): void;
	onClaim?(owner: Owner, record: ClaimRecord): void;
	onChange?(owner: Owner, entry: Entry, change: Change): void;
	/** Called when a transaction that completes a task is committed. */
	onCompleted?(owner: Owner, record: ClaimRecord): void;
	/** Whether the owner may mistake a lost claim for a completed one. */
	mayCountAsCommitted?(record: ClaimRecord): boolean;
}

interface OpenTransaction {
	readonly owner: Owner;
	readonly own: StoreTransaction;
	/** The claims that the transaction completes, and the times of the calls. */
	readonly records: Map<ClaimRecord, number>;
	/** The claims that the transaction was refused. */
	readonly refused: Set<ClaimRecord>;
	readonly onEnd: () => void;
}

export class Ledger {
	readonly entries: Map<string, Entry> = new Map();
	readonly records: Map<string, ClaimRecord> = new Map();
	/** The monotonic times of the operations. */
	readonly #times: number[] = [0];
	/** The total numbers of tasks that were added, done, deleted, and removed after their time. */
	readonly totals = { added: 0, done: 0, deleted: 0, expired: 0 };
	readonly #store: Store<never>;
	readonly #clock: VirtualClock;
	readonly #watcher: LedgerWatcher;
	#last: Promise<unknown> = Promise.resolve();
	#order = 0;
	/** The paused kinds; `undefined` pauses all of them. */
	readonly paused: Set<string | undefined> = new Set();
	readonly #limits = new LimitBook();
	/** When tasks were due that were deleted or replaced behind gates. */
	readonly #left: Pick<Entry, "kind" | "due" | "dueBy">[] = [];
	/** All tasks that were ever retained for a time. */
	readonly #kept: Entry[] = [];
	readonly transactions: StoreTransactions | undefined;
	/** The open transactions, by the argument of `complete`. */
	readonly #open = new Map<unknown, OpenTransaction>();
	/** The `order` numbers of the tasks that transactions have completed. */
	readonly #completed: number[] = [];
	/** The number of transactions that block the store or will do so, and the time when the last one ended. */
	#locks = 0;
	#unlockedAt = -Infinity;

	constructor(
		store: Store<never>,
		clock: VirtualClock,
		watcher: LedgerWatcher,
		transactions?: StoreTransactions | undefined,
	) {
		this.#store = store;
		this.transactions = transactions;
		this.#clock = clock;
		this.#watcher = watcher;
	}

	/** Returns the store as one process sees it. Operations run one at a time, so that they are recorded in order. */
	storeFor(owner: Owner): Store<never> {
		const store = this.#store;
		// deno-lint-ignore no-explicit-any -- the members have no common type
		const record = (member: keyof Store, check?: (owner: Owner, args: any, result: any) => void) => (...args: any[]) =>
			this.#inTurn(async () => {
				// deno-lint-ignore no-explicit-any -- the same
				const result = await (store[member] as any)(...args).catch((error: unknown) => {
					if (error instanceof TypeError && member === "add") this.#checkRefusal(args[1], error);
					throw error;
				});
				this.#count();
				for (const entry of this.#kept) entry.mayBeGone ||= isOver(entry) && entry.due <= this.#now;
				check?.(owner, args.slice(1), result);
				return result;
			}, member === "complete");
		return {
			capabilities: store.capabilities,
			open: record("open"),
			add: record("add", this.#add),
			turn: record("turn", this.#turn),
			complete: record("complete", this.#complete),
			extend: record("extend", this.#extend),
			save: record("save", this.#save),
			log: record("log", this.#log),
			get: record("get", this.#get),
			list: record("list", this.#list),
			counts: record("counts", this.#counts),
			delete: record("delete", this.#delete),
			change: record("change", this.#change),
			pause: record("pause", this.#pause),
			pauses: record("pauses", this.#pauses),
			hasten: record("hasten", this.#hasten),
			post: record("post", this.#post),
			watch: store.watch!.bind(store),
		} as Store<never>;
	}

	/** The answer of an add did not arrive, so that its process does not know when the task is due. */
	forgetFresh(owner: Owner): void {
		for (const entry of this.entries.values()) if (entry.addedBy === owner) entry.isFresh = false;
	}

	/** Returns the first wanted task of those that the owner can certainly claim. */
	findClaimable(owner: Owner, isWanted: (entry: Entry) => boolean): Entry | undefined {
		return [...this.entries.values()].find((entry) => this.readyBy(owner, entry) <= this.#now && isWanted(entry));
	}

	/** The time from which the owner can certainly claim the task, if nothing changes. */
	readyBy(owner: Owner, entry: Entry): number {
		return this.#isInPlace(entry) ? Math.max(entry.dueBy, this.#opensAt(owner, entry)[1]) : Infinity;
	}

	/** Returns the time in milliseconds for which the owner could claim the task without an operation on it. */
	dueFor(owner: Owner, entry: Entry): number {
		return Math.min(this.#now - this.readyBy(owner, entry), this.#clock.monotonic() - this.#times[entry.changedIn]!);
	}

	/** The first instant at which the gate of a task may be open for the owner, and the one from which it must. */
	#opensAt(owner: Owner, entry: Entry): readonly [number, number] {
		const name = gateOf(entry);
		if (name === undefined) return [-Infinity, -Infinity];
		const limit = owner.limits?.find(({ kind }) => kind === entry.kind);
		if (limit === undefined) return [-Infinity, -Infinity];
		const isRunning = (other: Entry) => other.state === "running" && gateOf(other) === name;
		const running = [...this.entries.values()].filter(isRunning);
		if (running.length >= limit.atOnce && !running.includes(entry)) return [Infinity, Infinity];
		return this.#limits.opensAt(name, limit);
	}

	isCurrent(record: ClaimRecord): boolean {
		const entry = this.entries.get(record.claim.id);
		return entry?.state === "running" && entry.record === record;
	}

	/** The monotonic time until which a transaction has blocked the store. */
	get lockedAt(): number {
		return this.#locks > 0 ? this.#clock.monotonic() : this.#unlockedAt;
	}

	/** Begins a transaction. An exclusive transaction blocks other operations until it ends. */
	begin(owner: Owner): Promise<Transaction> {
		const { isExclusive } = this.transactions!;
		if (!isExclusive) return this.#inTurn(() => this.#beginNow(owner, () => {}));
		this.#locks++;
		const begun = deferred<Transaction>();
		void this.#inTurn(async () => {
			const ended = deferred();
			if (owner.isAlive) begun.resolve(await this.#beginNow(owner, ended.resolve));
			else ended.resolve();
			await ended.promise;
			this.#locks--;
			this.#unlockedAt = this.#clock.monotonic();
		});
		return begun.promise;
	}

	async #beginNow(owner: Owner, onEnd: () => void): Promise<Transaction> {
		const { isExclusive } = this.transactions!;
		const own = await this.transactions!.begin();
		const open: OpenTransaction = { owner, own, records: new Map(), refused: new Set(), onEnd };
		this.#open.set(own.tx, open);
		this.#trace(owner, "begins a transaction");
		if (!owner.isAlive) await this.#rollBack(open);
		const isOpen = () => this.#open.get(own.tx) === open;
		return {
			tx: own.tx,
			get isOpen() {
				return isOpen();
			},
			mark: ({ order }) => isOpen() ? own.mark(order) : undefined, // a dead process writes none
			commit: () => this.#inTurn(() => this.#commit(open), isExclusive),
			rollBack: async () => isOpen() ? await this.#rollBack(open) : undefined,
		};
	}

	async #commit(open: OpenTransaction): Promise<boolean> {
		const { owner, own, records } = open;
		if (this.#open.get(own.tx) !== open) return false;
		const isCommitted = await own.commit();
		this.#count();
		const areGood = [...records.keys()].every((record) => this.isCurrent(record));
		const ids = [...records.keys()].map(({ claim: { id } }) => id);
		this.#trace(owner, `commits ${ids} ${isCommitted}`);
		if (areGood !== isCommitted && (isCommitted || !this.transactions!.isStrict)) {
			this.#fail(`commit of ${ids} is ${isCommitted}, should be ${areGood}`);
		}
		this.#end(open);
		if (!isCommitted) return false;
		for (const { entry } of open.refused) this.#completed.push(entry.order);
		for (const [record, completedAt] of records) {
			record.isCompleted = true;
			this.#completed.push(record.entry.order);
			this.#watcher.onCompleted?.(owner, record);
			this.#apply(record.entry, { type: "done" }, completedAt);
			this.#giveBackBehind(this.entries.get(record.claim.id));
		}
		return true;
	}

	async #rollBack(open: OpenTransaction): Promise<void> {
		this.#trace(open.owner, "rolls back");
		this.#open.delete(open.own.tx);
		await open.own.rollBack();
		this.#end(open);
	}

	#end({ own, records, onEnd }: OpenTransaction): void {
		this.#open.delete(own.tx);
		for (const record of records.keys()) record.isCompleting = false;
		onEnd();
	}

	/** Rolls back the open transactions of a dead process. */
	forget(owner: Owner): void {
		for (const open of [...this.#open.values()]) if (open.owner === owner) void this.#rollBack(open);
	}

	/** Checks that the marks in the store are those of the completed tasks, each once. */
	async checkMarks(): Promise<void> {
		const marks = await this.transactions?.marks() ?? [];
		const inOrder = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);
		this.#equal("the marks of all that was committed", inOrder(marks), inOrder(this.#completed));
	}

	readonly #complete = (owner: Owner, [ref, , tx]: [Ref, Done, unknown], isCompleted: boolean): void => {
		const entry = this.#claimed(ref);
		this.#trace(owner, `complete ${ref.id} ${isCompleted}`);
		const { records, refused } = this.#open.get(tx)!;
		const asked = this.records.get(ref.token)!;
		// On a connection that is used for a second transaction, this looks like a second request in the same transaction.
		if (!isCompleted && !records.has(asked) && this.#watcher.mayCountAsCommitted?.(asked)) refused.add(asked);
		// For a second request in the same transaction, a store may return either result.
		if (entry !== undefined && records.has(entry.record!)) return;
		this.#equal(`complete of ${ref.id}`, isCompleted, entry !== undefined);
		if (!isCompleted || entry === undefined) return;
		records.set(entry.record!, this.#now);
		entry.record!.isCompleting = true;
	};

	/** @param isInside whether the operation belongs to the transaction that has the turn */
	#inTurn<T>(work: () => Promise<T>, isInside = false): Promise<T> {
		if (isInside && this.transactions?.isExclusive) return work();
		const result = this.#last.then(work);
		this.#last = result.catch(() => {});
		return result;
	}

	get #now(): number {
		return this.#clock.now();
	}

	/** The number of operations. */
	get operations(): number {
		return this.#times.length - 1;
	}

	#count(): void {
		this.#limits.forget(this.#now);
		this.#times.push(this.#clock.monotonic());
	}

	#fail(text: string): void {
		this.#watcher.fail(`Store: ${text}`);
	}

	#equal(what: string, actual: unknown, expected: unknown): void {
		if (actual === expected || same(actual, expected)) return;
		this.#fail(`${what} is ${JSON.stringify(actual)}, should be ${JSON.stringify(expected)}`);
	}

	#trace(owner: Owner, text: string): void {
		this.#watcher.trace(`${owner.name} ${text}`);
	}

	readonly #add = (owner: Owner, [tasks]: [readonly NewTask[]], added: readonly Added[]): void => {
		this.#equal("the number of added", added.length, tasks.length);
		tasks.forEach((task, index) => {
			const { id, added: isAdded, state } = added[index]!;
			const { kind, lane, delay, priority, ifPresent, within, payload, item, most } = task;
			const what = item === undefined ? payload : `${item} most ${most}`;
			const how = ifPresent === undefined ? "" : ` ${ifPresent} within ${within} ${what}`;
			this.#trace(
				owner,
				`add ${id} ${kind} ${isAdded} ${state} lane ${lane} delay ${delay} priority ${priority}${how}`,
			);
			if (task.id === undefined) this.#equal("the beginning of a made id", id[0], "_");
			else this.#equal("id", id, task.id);
			const before = this.#find(id, state !== undefined);
			this.#equal(`the state of ${id} before the add`, state, before && stateOf(before));
			this.#equal(`added of ${id}`, isAdded, before === undefined || ifPresent !== undefined);
			if (!isAdded) return;
			if (item !== undefined) {
				this.#collect(owner, before, id, task);
				return this.#watcher.onItem?.(id, item);
			}
			if (before !== undefined) this.#replace(owner, before, task);
			else this.#insertAnew(owner, id, task);
			this.#watcher.onPayload?.(id, payload);
		});
	};

	/** A refused add must contain a task that cannot replace the one with its id. */
	#checkRefusal(tasks: readonly NewTask[], error: TypeError): void {
		// A task whose retention has ended may be there or not.
		const isRight = [true, false].some((isThere) => this.#isRefused(tasks, isThere));
		if (!isRight) this.#fail(`an add is refused with ${error}`);
	}

	#isRefused(tasks: readonly NewTask[], isThere: boolean): boolean {
		const present = new Map<string, Pick<Entry, "kind" | "lane" | "isCollected">>();
		return tasks.some(({ id, kind, lane, item, ifPresent }) => {
			if (id === undefined) return false;
			const own = { kind, lane, isCollected: item !== undefined };
			const entry = this.entries.get(id);
			const isStored = entry !== undefined && (isThere || !(entry.mayBeGone || this.#isGone(entry)));
			const before = present.get(id) ?? (isStored ? entry : own);
			present.set(id, before);
			const isOther = before.kind !== kind || before.lane !== lane || before.isCollected !== own.isCollected;
			return ifPresent !== undefined && isOther;
		});
	}

	/** Replaces a payload, now or when the claim of the task has ended. */
	#replace(owner: Owner, entry: Entry, task: NewTask): void {
		const { id, kind, lane } = entry;
		this.#equal(`the kind and lane of ${id}`, [task.kind, task.lane], [kind, lane]);
		if (isOver(entry)) {
			this.totals.added -= entry.state === "dead" ? 1 : 0;
			return this.#insert(owner, id, task);
		}
		const { payload, priority, delay, within = Infinity } = task;
		const isRunning = entry.state === "running";
		const isNew = isRunning ? entry.replacement === undefined : entry.attempts + entry.crashes > 0;
		const addedAt = isNew ? this.#now : (entry.replacement ?? entry).addedAt;
		const due = Math.min(this.#now + delay, addedAt + within);
		const replacement = { payload, priority, limitKey: task.limitKey, meta: task.meta, addedAt, due };
		if (isRunning) return void (entry.replacement = replacement);
		this.#leaveTime(entry);
		renew(entry);
		take(entry, replacement);
		entry.due = entry.dueBy = due;
		entry.addedBy = owner;
		// With \`within\`, it may be due before the delay of this add.
		entry.isFresh = due === this.#now + delay;
		entry.postedBy = undefined;
		entry.changedIn = this.operations;
	}

	/** Adds an item to a task, which begins with it. */
	#collect(owner: Owner, before: Entry | undefined, id: string, task: NewTask): void {
		const { payload, priority, limitKey, meta, delay, within = Infinity, item, most } = task;
		if (before === undefined) this.#insertAnew(owner, id, task);
		else if (isOver(before)) {
			this.totals.added -= before.state === "dead" ? 1 : 0;
			this.#insert(owner, id, task);
		}
		const entry = this.entries.get(id)!;
		this.#equal(`the kind and lane of ${id}`, [task.kind, task.lane], [entry.kind, entry.lane]);
		entry.isCollected = true;
		if (before?.state === "dead") {
			const { inbox, posted, log, history } = before;
			Object.assign(entry, { inbox, posted, log, history });
		}
		entry.inbox = [...entry.inbox, { n: ++entry.posted, data: item! }];
		const isRunning = entry.state === "running";
		const { addedAt } = isRunning ? entry.replacement ?? { addedAt: this.#now } : entry;
		const due = Math.min(this.#now + delay, addedAt + within);
		if (isRunning) return void (entry.replacement = { payload, priority, limitKey, meta, addedAt, due });
		Object.assign(entry, { payload, priority, meta, addedBy: owner, postedBy: undefined, changedIn: this.operations });
		entry.isFresh = false;
		if (entry.attempts + entry.crashes > 0) return;
		const isFull = entry.inbox.length >= most!;
		entry.due = entry.dueBy = isFull ? this.#now : due;
		entry.isFresh = !isFull && due === this.#now + delay;
	}

	/** Adds a task whose id is free, perhaps because the retention of another one has ended. */
	#insertAnew(addedBy: Owner, id: string, task: NewTask): void {
		const before = this.entries.get(id);
		if (before !== undefined) this.#forget(before);
		this.#insert(addedBy, id, task);
	}

	#insert(addedBy: Owner, id: string, { kind, payload, delay, priority, lane, limitKey, meta }: NewTask): void {
		this.totals.added++;
		const due = this.#now + delay;
		this.entries.set(id, {
			...{ id, kind, priority, lane, limitKey, addedAt: this.#now, addedBy, order: ++this.#order, payload },
			state: "waiting",
			start: undefined,
			...{
				isHeld: false,
				isBackingOff: false,
				isFresh: true,
				mayBeGone: false,
				due,
				dueBy: due,
				attempts: 0,
				crashes: 0,
			},
			...{ error: undefined, progress: undefined, record: undefined, changedIn: this.operations },
			...{
				inbox: [],
				posted: 0,
				log: [],
				meta,
				history: undefined,
				origin: undefined,
				postedBy: undefined,
				result: undefined,
				replacement: undefined,
				isCollected: false,
			},
		});
		this.#watcher.onAdd?.(addedBy, this.entries.get(id)!);
	}

	/**
	 * Finds a task, and forgets it if the store does not have it anymore because its retention has ended.
	 *
	 * @param isThere whether the store has it
	 */
	#find(id: string, isThere: boolean): Entry | undefined {
		const entry = this.entries.get(id);
		if (isThere && entry !== undefined && this.#isGone(entry)) this.#fail(`${describe(entry)} is there after its time`);
		if (isThere || !entry?.mayBeGone) return entry;
		// A store may still have it, and show it again after the clock was set back.
		if (!this.#isGone(entry)) this.#forget(entry);
		return undefined;
	}

	#forget(entry: Entry): void {
		this.entries.delete(entry.id);
		this.totals.expired++;
		this.totals.deleted += entry.state === "dead" ? 1 : 0;
	}

	/** Whether its retention is over. After the clock was set back, a task may be there again, or removed. */
	#isGone(entry: Entry): boolean {
		return isOver(entry) && entry.due <= this.#now;
	}

	readonly #turn = (owner: Owner, [turn]: [Turn], result: TurnResult): void => {
		this.#equal("the number of settled", result.settled.length, turn.settle.length);
		turn.settle.forEach((settlement, index) => this.#settle(owner, settlement, result.settled[index]!));
		turn.settle.forEach(({ ref }, index) => {
			if (result.settled[index]) this.#giveBackBehind(this.entries.get(ref.id));
		});
		if (turn.claim.length > 0) this.#equal("the limits of a turn", turn.limits ?? [], owner.limits ?? []);
		const left = toRuns(result.claims);
		for (const request of turn.claim) {
			const { kinds, limit } = request;
			const end = left.findIndex(([{ kind }], index) => index >= limit || !kinds.includes(kind));
			this.#claim(owner, request, turn, left.splice(0, end < 0 ? Infinity : end));
		}
		this.#equal("the number of claims over the limit", left.length, 0);
		const isFull = turn.claim.some(({ limit }) => limit <= result.claims.length);
		if (turn.claim.length > 0) this.#checkDueIn(owner, turn.claim.flatMap(({ kinds }) => kinds), result.dueIn, isFull);
		this.#trace(
			owner,
			`turn settled ${result.settled} claimed ${result.claims.map(({ id }) => id)} due in ${result.dueIn}`,
		);
	};

	#settle(owner: Owner, settlement: Settlement, isSettled: boolean): void {
		const { ref, outcome, log } = settlement;
		const entry = this.#claimed(ref);
		this.#equal(`settled of ${ref.id} as ${outcome.type}`, isSettled, entry !== undefined);
		this.#trace(owner, `settle ${ref.id} ${outcome.type} ${isSettled}`);
		const record = this.records.get(ref.token);
		if (record === undefined) return this.#fail(`${ref.id} is settled under a token that was never given`);
		this.#watcher.onSettle(owner, settlement, isSettled, record);
		if (entry === undefined || !isSettled) return;
		this.#append(entry, log);
		this.#apply(entry, outcome);
	}

	/** Entries with numbers that exist are replaced. */
	#append(entry: Entry, part: LogPart | undefined): void {
		if (part === undefined) return;
		const { after, entries } = part;
		if (after > entry.log.length || entries.length < 1 || entries.length > mostAppended) {
			this.#fail(`${entries.length} entries are appended to ${entry.id} after ${after} of ${entry.log.length}`);
		}
		entry.log = [...entry.log.slice(0, after), ...entries, ...entry.log.slice(after + entries.length)];
	}

	/** @param since the time from which what has replaced the task may be due: its completion, or only its commit */
	#apply(entry: Entry, outcome: Outcome, since: number = this.#now): void {
		const { type } = outcome;
		const { replacement } = entry;
		const isEnd = type === "done" || type === "dead";
		entry.changedIn = this.operations;
		entry.record = undefined;
		this.#leaveGate(entry, outcome);
		entry.payload = outcome.payload ?? entry.payload;
		entry.history = outcome.history ?? entry.history;
		entry.origin = undefined;
		if (type === "retry" || type === "dead") {
			entry.attempts = outcome.attempts;
			entry.error = outcome.error;
		}
		if (type === "done") this.totals.done++;
		const { seen = Infinity, most = Infinity } = type === "done" ? outcome : {};
		if (seen < Infinity) this.#forgetMessages(entry, seen);
		const left = seen < Infinity ? entry.inbox.length : 0;
		if (isEnd && replacement === undefined && left === 0) return this.#finish(entry, outcome);
		entry.state = "waiting";
		entry.due = entry.dueBy = this.#now + (type === "retry" || type === "release" ? outcome.delay ?? 0 : 0);
		entry.isBackingOff = "backoff" in outcome && outcome.backoff === true;
		if (type === "release") entry.limitKey = outcome.limitKey ?? entry.limitKey;
		if (type === "later") this.#putOff(entry, outcome.delay, outcome.seen);
		else if (type !== "release" || outcome.delay !== undefined) entry.crashes = 0;
		if (type === "retry") entry.isHeld ||= outcome.hold === true;
		if (isEnd) renew(entry);
		if (type === "done") this.totals.added++;
		if (replacement === undefined) return;
		take(entry, replacement);
		// Items that are there already do not wait longer because of others.
		if (isEnd ? left >= most : entry.isCollected) return;
		entry.dueBy = Math.max(entry.due, replacement.due);
		entry.due = Math.max(Math.min(entry.due, since), replacement.due);
	}

	/** A claim has ended, so that another task of the key may have a place. */
	#leaveGate(entry: Entry, outcome?: Outcome): void {
		const { start } = entry;
		const name = gateOf(entry);
		entry.start = undefined;
		if (name === undefined) return;
		const isTakenBack = outcome?.type === "release" && outcome.delay === undefined;
		if (isTakenBack && start !== undefined) this.#limits.takeBack(name, start);
		if (outcome !== undefined && "isKeyShut" in outcome && outcome.isKeyShut) {
			this.#limits.shut(name, this.#now + (outcome.delay ?? 0));
		}
		for (const other of this.entries.values()) if (gateOf(other) === name) other.changedIn = this.operations;
	}

	/** Makes a task wait until its time or a message. */
	#putOff(entry: Entry, delay: number | null, seen: number): void {
		this.#forgetMessages(entry, seen);
		entry.attempts = entry.crashes = 0;
		const isTold = entry.inbox.length > 0;
		entry.due = entry.dueBy = isTold ? Math.min(entry.addedAt, this.#now) : this.#now + (delay ?? Infinity);
	}

	#forgetMessages(entry: Entry, seen: number): void {
		entry.inbox = entry.inbox.filter(({ n }) => n > seen);
	}

	#finish(entry: Entry, outcome: Outcome & { readonly type: "done" | "dead" }): void {
		this.#touchLane(entry);
		const { type, retain = type === "done" ? 0 : Infinity } = outcome;
		if (retain === 0) return void this.entries.delete(entry.id);
		this.#kept.push(entry);
		entry.state = type;
		entry.isHeld = entry.isBackingOff = false;
		entry.due = entry.dueBy = this.#now + retain;
		if (type === "done") entry.result = outcome.result;
	}

	#claim(owner: Owner, { kinds, limit }: ClaimRequest, turn: Turn, claims: readonly LaneClaims[]): void {
		for (const [claim, ...followers] of claims) {
			const entry = this.entries.get(claim.id);
			if (entry === undefined || !kinds.includes(entry.kind) || !this.#isPossible(owner, entry)) {
				this.#fail(`${claim.id} was claimed, which is ${entry === undefined ? "not there" : describe(entry)}`);
				continue;
			}
			// Keys are served in turn.
			const earlier = this.findClaimable(
				owner,
				(other) => kinds.includes(other.kind) && gateOf(other) === gateOf(entry) && isBefore(other, entry),
			);
			if (earlier !== undefined) this.#fail(`${describe(entry)} was claimed before ${describe(earlier)}`);
			this.#begin(owner, entry, claim, turn);
			this.#follow(owner, entry, followers, turn);
		}
		const missed = claims.length < limit && this.findClaimable(owner, ({ kind }) => kinds.includes(kind));
		if (missed) this.#fail(`${describe(missed)} was not claimed`);
	}

	/** Checks the tasks that were claimed with the head of their lane. */
	#follow(owner: Owner, head: Entry, claims: readonly Claim[], turn: Turn): void {
		const { runs = [] } = turn;
		const { kind, attempts } = head;
		const most = attempts > 0 ? 1 : runs.find((run) => run.kind === kind)?.most ?? 1;
		const behind = this.#behind(head);
		claims.forEach((claim, index) => {
			const entry = behind[index];
			const isNext = entry?.id === claim.id && entry.kind === kind && entry.state === "waiting" && !entry.isHeld;
			if (!isNext || entry.due > this.#now || entry.attempts > 0 || gateOf(entry) !== undefined || index + 1 >= most) {
				return this.#fail(`${claim.id} was claimed with ${describe(head)}, and is not next`);
			}
			this.#begin(owner, entry, claim, turn);
		});
	}

	/** The tasks behind one in its lane, in order. */
	#behind({ lane, order }: Entry): Entry[] {
		if (lane === undefined) return [];
		const behind = [...this.entries.values()].filter((one) => one.lane === lane && one.order > order && !isOver(one));
		return behind.sort((a, b) => a.order - b.order);
	}

	/** The claim of a task has ended. If the task is still in its lane, nothing is running behind it. */
	#giveBackBehind(entry: Entry | undefined, crashes: 0 | 1 = 0): void {
		if (entry === undefined || (entry.state !== "waiting" && crashes === 0)) return;
		const behind = this.#behind(entry);
		const end = behind.findIndex(({ state }) => state !== "running");
		for (const follower of behind.slice(0, end < 0 ? Infinity : end)) {
			follower.attempts += crashes;
			follower.crashes += crashes;
			const { origin } = follower;
			this.#apply(follower, { type: "release" });
			if (crashes > 0) follower.origin = origin;
			this.#watcher.trace(`${follower.id} is given back behind ${entry.id}`);
		}
	}

	#begin(owner: Owner, entry: Entry, claim: Claim, { lease, worker }: Turn): void {
		if (this.records.has(claim.token)) this.#fail(`the token ${claim.token} was given twice`);
		if (entry.state === "running") {
			this.#watcher.onCrash(entry, entry.record!, owner);
			entry.attempts++;
			entry.crashes++;
			this.#giveBackBehind(entry, 1);
			this.#leaveGate(entry);
			if (entry.replacement !== undefined) take(entry, entry.replacement);
		}
		const now = this.#now;
		this.#checkLate(entry, claim.late);
		const { id, kind, lane, limitKey, payload, attempts, crashes, priority, error, addedAt, meta, history } = entry;
		const expected = {
			id,
			kind,
			lane,
			limitKey,
			payload,
			attempts,
			crashes,
			priority,
			error,
			addedAt,
			age: now - addedAt,
			inbox: entry.inbox,
			logged: entry.log.length,
			...{ meta, history, lapsed: entry.origin },
		};
		// A store may return more properties.
		const all = { ...claim, logged: claim.logged ?? 0 };
		const given = Object.fromEntries(Object.keys(expected).map((key) => [key, all[key as keyof Claim]]));
		this.#equal(`the claim of ${id}`, given, expected);
		const number = this.records.size + 1;
		const before = entry.state === "running" ? entry.record : undefined;
		entry.isFresh = false;
		entry.postedBy = undefined;
		entry.origin = { worker, at: now };
		entry.record = {
			number,
			before,
			claim,
			owner,
			entry,
			claimedAt: this.#clock.monotonic(),
			extendedAt: this.#clock.monotonic(),
			safeUntil: this.#clock.monotonic() + lease,
			askedAt: -Infinity,
			toldAt: Infinity,
			knownUntil: -Infinity,
			learnedAt: -Infinity,
			knownBefore: -Infinity,
			overAt: Infinity,
			settledAs: undefined,
			isDeleted: false,
			isLeftBehind: false,
			...{ wasCompleting: false, isCompleting: false, isCompleted: false, tries: 0, endedAt: Infinity },
		};
		this.records.set(claim.token, entry.record);
		entry.state = "running";
		this.#start(owner, entry);
		entry.changedIn = this.operations;
		entry.due = entry.dueBy = now + lease;
		this.#watcher.onClaim?.(owner, entry.record);
	}

	/** The store says how long the task was due, or its lease over. It may choose the due time after a change or a message. */
	#checkLate(entry: Entry, late: number): void {
		const isKnown = entry.isFresh || entry.state === "running";
		const most = Math.max(0, this.#now - (isKnown ? entry.due : Math.min(entry.due, entry.addedAt)));
		const least = entry.isFresh ? most : 0;
		if (!(late >= least && late <= most)) this.#fail(`${entry.id} is ${late} late, should be from ${least} to ${most}`);
	}

	/** Checks that the limit of the owner has allowed a claim. */
	#start(owner: Owner, entry: Entry): void {
		const limit = owner.limits?.find(({ kind }) => kind === entry.kind);
		const name = gateOf(entry);
		if (limit === undefined || name === undefined) return;
		const { start, fault } = this.#limits.start(name, this.#now, limit);
		entry.start = start;
		if (fault !== undefined) this.#fail(fault);
	}

	/**
	 * What is due later and has no place may count, because a place may be free by then. A gate may still have the end of
	 * a lease that was extended since, or whose task was held since, or the time of a task that is held, blocked or gone.
	 */
	#checkDueIn(owner: Owner, kinds: readonly string[], dueIn: number, isFull: boolean): void {
		let [least, most] = [Infinity, Infinity];
		for (const entry of this.entries.values()) {
			if (!kinds.includes(entry.kind)) continue;
			const isGated = entry.state === "running" && gateOf(entry) !== undefined;
			if (isGated && entry.isHeld) least = Math.min(least, shortest);
			const isAside = !isOver(entry) && !this.#isInPlace(entry);
			if (isAside && gateOf(entry) !== undefined) least = Math.min(least, Math.max(shortest, entry.due - this.#now));
			if (!this.#isInPlace(entry)) continue;
			const [opensAt] = this.#opensAt(owner, entry);
			const from = entry.due <= this.#now ? opensAt : isGated ? this.#now + shortest : entry.due;
			least = Math.min(least, Math.max(0, from - this.#now));
			most = Math.min(most, Math.max(0, this.readyBy(owner, entry) - this.#now));
		}
		for (const { kind, due, dueBy } of this.#left) {
			if (kinds.includes(kind) && dueBy > this.#now) least = Math.min(least, Math.max(shortest, due - this.#now));
		}
		// If a request was served in full, a store need not look at all gates.
		if (isFull && this.#mayHaveGates(kinds)) least = 0;
		if (dueIn < least || dueIn > Math.ceil(most)) this.#fail(`dueIn is ${dueIn}, should be from ${least} to ${most}`);
	}

	#mayHaveGates(kinds: readonly string[]): boolean {
		const gated = [...this.entries.values()].filter((entry) => gateOf(entry) !== undefined);
		return [...gated, ...this.#left].some(({ kind }) => kinds.includes(kind));
	}

	/** A store may still look at the gate of a task at its time, although it is not there anymore. */
	#leaveTime(entry: Entry): void {
		const { kind, due, dueBy } = entry;
		if (gateOf(entry) !== undefined && !isOver(entry)) this.#left.push({ kind, due, dueBy });
	}

	readonly #extend = (owner: Owner, [refs, lease]: [readonly Ref[], number], states: readonly string[]): void => {
		refs.forEach((ref, index) => {
			const entry = this.#claimed(ref);
			this.#trace(owner, `extend ${ref.id} ${states[index]}`);
			const state = entry === undefined ? "lost" : entry.inbox.length > 0 ? "posted" : "ok";
			this.#equal(`extend of ${ref.id}`, states[index], state);
			if (entry === undefined) return;
			entry.due = entry.dueBy = this.#now + lease;
			entry.record!.tries = 0;
			entry.record!.extendedAt = this.#clock.monotonic();
			entry.record!.safeUntil = this.#clock.monotonic() + lease;
		});
	};

	readonly #save = (owner: Owner, [saves]: [readonly Save[]], saved: readonly boolean[]): void => {
		saves.forEach((save, index) => {
			const { ref, payload, progress, seen, log } = save;
			const entry = this.#claimed(ref);
			this.#trace(owner, `save ${ref.id} ${saved[index]}`);
			this.#equal(`save of ${ref.id}`, saved[index], entry !== undefined);
			const record = this.records.get(ref.token);
			if (record !== undefined) this.#watcher.onSave?.(owner, save, entry !== undefined, record);
			if (entry === undefined) return;
			if (seen !== undefined) this.#forgetMessages(entry, seen);
			entry.payload = payload ?? entry.payload;
			entry.progress = progress ?? entry.progress;
			this.#append(entry, log);
		});
	};

	readonly #log = (
		owner: Owner,
		[reads]: [readonly LogRead[]],
		results: readonly (readonly LogEntry[] | undefined)[],
	): void => {
		this.#equal("the number of logs", results.length, reads.length);
		reads.forEach(({ id, token, after, limit }, index) => {
			const found = results[index];
			this.#trace(owner, `log ${id} after ${after}: ${found?.length}`);
			const entry = token === undefined ? this.#find(id, found !== undefined) : this.#claimed({ id, token });
			const expected = entry?.log.slice(after, after + limit).map((data, index) => ({ n: after + index + 1, data }));
			this.#equal(`the log of ${id}`, found, expected);
		});
	};

	readonly #get = (owner: Owner, [id]: [string], task: StoredTask | undefined): void => {
		this.#trace(owner, `get ${id} ${task?.state}`);
		const entry = this.#find(id, task !== undefined);
		this.#equal(`whether ${id} is there`, task !== undefined, entry !== undefined);
		if (task === undefined || entry === undefined) return;
		this.#compare(task, entry);
		this.#equal(`the inbox of ${id}`, (task as StoredTask & { inbox: unknown }).inbox, entry.inbox);
	};

	readonly #post = (owner: Owner, [id, data]: [string, Data], isPosted: boolean): void => {
		this.#trace(owner, `post ${id} ${data} ${isPosted}`);
		const entry = this.entries.get(id);
		this.#equal(`post to ${id}`, isPosted, entry !== undefined && !isOver(entry));
		if (entry === undefined || isOver(entry)) return;
		this.#watcher.onPost?.(owner, entry, data);
		entry.isFresh = false;
		entry.inbox = [...entry.inbox, { n: ++entry.posted, data }];
		if (entry.state !== "waiting") return;
		if (entry.due > this.#now && !entry.isHeld) entry.postedBy = owner;
		entry.due = Math.min(entry.due, entry.addedAt, this.#now);
		entry.dueBy = Math.min(entry.dueBy, entry.addedAt, this.#now);
		entry.changedIn = this.operations;
	};

	readonly #list = (owner: Owner, [{ state, kind, limit, after }]: [ListQuery], tasks: readonly StoredTask[]): void => {
		this.#trace(owner, `list ${state} ${tasks.map(({ id }) => id)}`);
		const found = new Set(tasks.map(({ id }) => id));
		let expected = [...this.entries.values()].sort((a, b) => a.order - b.order);
		// Expired tasks may exist or not.
		const isGone = ({ mayBeGone, id }: Entry) => mayBeGone && !found.has(id);
		expected = expected.filter((entry) =>
			(state ?? stateOf(entry)) === stateOf(entry) && (kind ?? entry.kind) === entry.kind && !isGone(entry)
		);
		if (after === undefined) {
			this.#equal("the list", tasks.map(({ id }) => id), expected.map(({ id }) => id).slice(0, limit));
		}
		for (const task of tasks) {
			const entry = this.#find(task.id, true);
			if (entry !== undefined) this.#compare(task, entry);
		}
	};

	#compare({ key: _, dueAt, ...task }: StoredTask, entry: Entry): void {
		const { id, kind, payload, attempts, crashes, error, result, progress, addedAt, priority, due, dueBy } = entry;
		const { lane, limitKey, meta, history, origin: claim } = entry;
		const place = { id, kind, addedAt, priority, lane, limitKey, meta };
		const expected = { ...place, payload, attempts, crashes, error, result, progress, history, claim };
		const { inbox: __, ...shown } = task as StoredTask & { inbox?: unknown };
		this.#equal(`the task ${id}`, shown, { ...expected, state: stateOf(entry) });
		if (due === Infinity) this.#equal(`dueAt of ${id}`, dueAt, undefined);
		else if (!(dueAt! >= due && dueAt! <= dueBy)) {
			this.#fail(`dueAt of ${id} is ${dueAt}, should be ${due} to ${dueBy}`);
		}
	}

	readonly #counts = (owner: Owner, _: [], counts: Counts): void => {
		this.#trace(owner, `counts ${Object.values(counts)}`);
		const expected = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		const expired = { done: 0, dead: 0 };
		for (const entry of this.entries.values()) {
			if (this.#isGone(entry)) continue;
			expected[stateOf(entry)]++;
			if (entry.mayBeGone) expired[entry.state as keyof typeof expired]++;
		}
		for (const state of ["done", "dead"] as const) {
			const missing = expected[state] - counts[state];
			if (missing >= 0 && missing <= expired[state]) expected[state] = counts[state];
		}
		this.#equal("counts", counts, expected);
	};

	readonly #delete = (owner: Owner, [ids]: [readonly string[]], deleted: readonly boolean[]): void => {
		ids.forEach((id, index) => {
			this.#trace(owner, `delete ${id} ${deleted[index]}`);
			const entry = this.#find(id, deleted[index]!);
			this.#equal(`delete of ${id}`, deleted[index], entry !== undefined);
			if (entry !== undefined) this.#watcher.onDelete?.(owner, entry);
			if (entry === undefined) return;
			this.entries.delete(id);
			this.#leaveTime(entry);
			if (entry.record !== undefined) entry.record.isDeleted = true;
			this.totals.deleted += entry.state === "done" ? 0 : 1;
			if (entry.state === "running") this.#leaveGate(entry);
			this.#touchLane(entry);
		});
	};

	readonly #change = (owner: Owner, [ids, change]: [readonly string[], Change], changed: readonly boolean[]): void => {
		ids.forEach((id, index) => {
			this.#trace(owner, `${change} ${id} ${changed[index]}`);
			const isDead = this.entries.get(id)?.state === "dead";
			const entry = change === "retry" && isDead ? this.#find(id, changed[index]!) : this.entries.get(id);
			const applies = entry !== undefined && this.#changeOne(entry, change);
			this.#equal(`${change} of ${id}`, changed[index], applies);
			if (applies) this.#watcher.onChange?.(owner, entry, change);
		});
	};

	/** Applies a change. Returns whether the change applies to the task. */
	#changeOne(entry: Entry, change: Change): boolean {
		if (change !== "retry") {
			if (isOver(entry) || entry.isHeld === (change === "hold")) return false;
			entry.isHeld = !entry.isHeld;
		} else if (entry.state === "dead") {
			this.entries.delete(entry.id);
			this.totals.added--;
			this.#insert(entry.addedBy, entry.id, { ...entry, payload: entry.payload as string, delay: 0 });
			const { isCollected, inbox, posted, log, history } = entry;
			Object.assign(this.entries.get(entry.id)!, { log, history }, isCollected ? { isCollected, inbox, posted } : {});
		} else if (entry.state === "waiting" && !entry.isHeld) {
			entry.due = Math.min(entry.due, this.#now);
			entry.dueBy = Math.min(entry.dueBy, this.#now);
		} else return false;
		this.entries.get(entry.id)!.isFresh = false;
		this.entries.get(entry.id)!.postedBy = undefined;
		entry.changedIn = this.operations;
		return true;
	}

	readonly #pause = (
		owner: Owner,
		[kind, isPaused]: [string | undefined, boolean],
		isChanged: boolean,
	): void => {
		this.#trace(owner, `${isPaused ? "pauses" : "resumes"} ${kind} ${isChanged}`);
		this.#equal(`pause of ${kind}`, isChanged, this.paused.has(kind) !== isPaused);
		if (isPaused) this.paused.add(kind);
		else this.paused.delete(kind);
		for (const entry of this.entries.values()) {
			if (kind !== undefined && kind !== entry.kind) continue;
			entry.changedIn = this.operations;
			entry.isFresh = false;
			entry.postedBy = undefined;
		}
	};

	readonly #pauses = (_owner: Owner, _: [], pauses: Pauses): void => {
		const kinds = [...this.paused].filter((kind) => kind !== undefined).sort();
		this.#equal("the pauses", pauses, { all: this.paused.has(undefined), kinds });
	};

	readonly #hasten = (owner: Owner, [within]: [number], count: number): void => {
		this.#trace(owner, `hasten ${count}`);
		const end = this.#now + within;
		let [least, most] = [0, 0];
		for (const entry of this.entries.values()) {
			if (stateOf(entry) !== "waiting" || !entry.isBackingOff || entry.dueBy <= end || !this.#isHead(entry)) continue;
			most++;
			if (entry.due > end) least++;
			entry.due = Math.min(entry.due, this.#now);
			entry.dueBy = end;
			this.#watcher.onHasten?.(owner, entry);
		}
		if (count < least || count > most) this.#fail(`hasten gives ${count}, should give ${least} to ${most}`);
	};

	#claimed(ref: Ref): Entry | undefined {
		const record = this.records.get(ref.token);
		return record !== undefined && record.claim.id === ref.id && this.isCurrent(record)
			? this.entries.get(ref.id)
			: undefined;
	}

	/**
	 * Whether claims may find the task now or later: it has not ended, is neither held nor paused, and is the head of its
	 * lane.
	 */
	#isInPlace(entry: Entry): boolean {
		if (entry.isHeld || isOver(entry) || this.paused.has(undefined) || this.paused.has(entry.kind)) return false;
		return this.#isHead(entry);
	}

	#isHead(entry: Entry): boolean {
		return this.before(entry).length === 0;
	}

	/** The tasks before one in its lane. */
	before({ lane, order }: Entry): Entry[] {
		if (lane === undefined) return [];
		return [...this.entries.values()].filter((one) => one.lane === lane && one.order < order && !isOver(one));
	}

	#isPossible(owner: Owner, entry: Entry): boolean {
		return entry.due <= this.#now && this.#isInPlace(entry) && this.#opensAt(owner, entry)[0] <= this.#now;
	}

	/** Updates a lane, in which another task may have become the head. */
	#touchLane({ lane }: Entry): void {
		if (lane === undefined) return;
		for (const entry of this.entries.values()) if (entry.lane === lane) entry.changedIn = this.operations;
	}
}

/** A head with its followers. */
type LaneClaims = readonly [Claim, ...Claim[]];

/** Followers come right behind the head of their lane. */
function toRuns(claims: readonly Claim[]): LaneClaims[] {
	const runs: [Claim, ...Claim[]][] = [];
	for (const claim of claims) {
		const last = runs.at(-1);
		if (claim.lane !== undefined && last?.[0].lane === claim.lane) last.push(claim);
		else runs.push([claim]);
	}
	return runs;
}

function isBefore(a: Entry, b: Entry): boolean {
	if (a === b) return false;
	if (a.priority !== b.priority) return a.priority > b.priority;
	if (a.due !== a.dueBy || b.due !== b.dueBy) return a.dueBy < b.due;
	return a.due < b.due || (a.due === b.due && a.order < b.order);
}

function stateOf({ state, isHeld }: Entry): StoredTask["state"] {
	return state === "waiting" && isHeld ? "held" : state;
}

function isOver({ state }: Entry): boolean {
	return state === "dead" || state === "done";
}

/** The name of the gate of a task. */
function gateOf({ kind, limitKey }: Entry): string | undefined {
	return limitKey === undefined ? undefined : `${kind} ${limitKey}`;
}

/** A new payload begins without attempts. */
function renew(entry: Entry): void {
	entry.attempts = entry.crashes = 0;
	entry.error = entry.progress = undefined;
	entry.origin = undefined;
	entry.isBackingOff = false;
}

function take(entry: Entry, { payload, priority, limitKey, meta, addedAt }: Replacement): void {
	Object.assign(entry, { payload, priority, limitKey, meta, addedAt, replacement: undefined });
}

export function describe({ id, kind, state, isHeld, lane, due, priority, order }: Entry): string {
	return `${id} (${kind}, ${state}${
		isHeld ? ", held" : ""
	}, lane ${lane}, due ${due}, priority ${priority}, order ${order})`;
}

/** Compares by value. Undefined properties count as absent. */
function same(a: unknown, b: unknown): boolean {
	if (a === b) return true;
	if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
	const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
	return [...keys].every((key) => same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}
