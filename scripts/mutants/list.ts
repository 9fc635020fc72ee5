// Mistakes in the sources, each as the replacement of a text that occurs once.

export interface Mutant {
	readonly name: string;
	readonly file: string;
	readonly from: string;
	readonly to: string;
	/** Whether a simulation of jobs has to catch it, in place of one of tasks. */
	readonly jobs?: boolean;
	/** A file of tests, for what no simulation has. */
	readonly test?: string;
}

const claims = "src/basket/claims.ts";
const task = "src/basket/claimed-task.ts";
const turns = "src/basket/turns.ts";
const calls = "src/basket/calls.ts";
const memory = "src/basket/memory-tasks.ts";
const gates = "src/basket/memory-gates.ts";
const queue = "src/basket/memory-queue.ts";
const suite = "test/basket/memory.test.ts";
const memoryTask = "src/basket/memory-task.ts";
const jobRun = "src/job/job-run.ts";

export const mutants: readonly Mutant[] = [
	{
		name: "expiry: a claim does not end when its lease may be over",
		file: claims,
		from: "if (task.leaseEndsAt <= now && task.mayExpire) this.#owner.onExpired(task);",
		to: "if (task.leaseEndsAt <= now) task.leaseEndsAt = Infinity;",
	},
	{
		name: "expiry: the signal does not abort",
		file: task,
		from: "super.expire();\n\t\tthis.#execution?.abort(new ClaimLostError(this.id));",
		to: "super.expire();",
	},
	{
		name: "expiry: what has ended by its lease is not given back",
		file: turns,
		from: "this.#parking.delete(task);\n\t\tthis.#ended.push({ task, ending: task.released });",
		to: "this.#parking.delete(task);\n\t\tthis.claims.delete(task);",
	},
	{
		name: "leases: none is renewed",
		file: claims,
		from:
			"if (tasks.length > 0) await this.extend(tasks, this.calls.limit, () => this.#recover(begunAt));\n\t\t\telse this.#recover(Infinity);",
		to: "this.#recover(Infinity);",
	},
	{
		name: "leases: a renewal counts from its answer",
		file: claims,
		from: "task.renewed(states[index]!, endsAt);",
		to: "task.renewed(states[index]!, clock.monotonic() + lease);",
	},
	{
		name: "leases: a claim counts from its answer",
		file: turns,
		from: "this.#take(result.claims, begunAt + lease);",
		to: "this.#take(result.claims, clock.monotonic() + lease);",
		test: "test/basket/leases.test.ts",
	},
	{
		name: "leases: a failed renewal is not tried again soon",
		file: claims,
		from: "this.#renewAt = Math.min(this.#renewAt, clock.monotonic() + lease / 10);",
		to: "this.#renewAt = clock.monotonic() + lease;",
	},
	{
		name: "lost claims: a run goes on",
		file: task,
		from: "else if (!this.hasEnded) this.lose();",
		to: "",
	},
	{
		name: "lost claims: what is lost is told as stored",
		file: "src/basket/outcomes.ts",
		from: "if (settled[index] || isStored) return",
		to: "if (settled[index] !== undefined) return",
	},
	{
		name: "lost claims: a save that was refused is no error",
		file: task,
		from: "if (!saved) this.#throwLost();",
		to: "",
		test: "test/basket/basket.test.ts",
	},
	{
		name: "lost claims: any claim continues a run",
		file: task,
		from: "return isNext && !this.isExpired && addedAt === claim.addedAt && String(payload) === String(this.#stored);",
		to: "return isNext || addedAt <= claim.addedAt || payload === this.#stored;",
	},
	{
		name: "late answers: what they have claimed is not given back",
		file: turns,
		from: "for (const stray of strays) this.#ended.push(stray);",
		to: "",
	},
	{
		name: "late answers: what they have claimed is run",
		file: turns,
		from: "for (const stray of strays) this.#ended.push(stray);",
		to: "this.#take(claims, this.#settings.clock.monotonic() + this.#settings.lease);",
	},
	{
		name: "late answers: what they have claimed is not given back by a basket that stops",
		file: turns,
		from: "if (strays.length === 0) return;",
		to: "return;",
		test: "test/basket/late-answers.test.ts",
	},
	{
		name: "hanging calls: an answer in the same millisecond does not count",
		file: calls,
		from: "this.#answered = this.#begun;",
		to: "this.#answered = this.#begun - 1;",
		test: "test/basket/late-answers.test.ts",
	},
	{
		name: "hanging calls: an answer that came before counts",
		file: calls,
		from: "this.#answered < number",
		to: "this.#answered < number - 1",
		test: "test/basket/late-answers.test.ts",
	},
	{
		name: "hanging calls: none is given up",
		file: calls,
		from: "if (limit < Infinity) clock.set(call, limit);",
		to: "",
	},
	{
		name: "hanging calls: a stop waits for all of them",
		file: calls,
		from: "this.#isClosed = true;\n\t\tthis.forsake(0);",
		to: "this.#isClosed = true;",
	},
	{
		name: "hanging calls: a store is asked to open once",
		file: "src/basket/opening.ts",
		from: "this.#againAt = clock.monotonic() + lease / 3;",
		to: "this.#againAt = Infinity;",
	},
	{
		name: "hanging calls: a checkpoint that was given up is sent after the stop",
		file: jobRun,
		from: "return !task.isOver;",
		to: "return true;",
		test: "test/basket/late-answers.test.ts",
	},
	{
		name: "hanging calls: one that waits for its turn counts as not answered",
		file: jobRun,
		from: "saved.then(resolve, reject);",
		to: "tracked = task.calls.track(() => saved).then(resolve, reject);",
		test: "test/basket/late-answers.test.ts",
	},
	{
		name: "hanging calls: who comes later waits as long for one again",
		file: "src/basket/batch.ts",
		from: "Math.max(0, this.#begunAt + limit - clock.monotonic())",
		to: "limit",
		test: "test/basket/late-answers.test.ts",
	},
	{
		name: "stop: what runs is not given back",
		file: turns,
		from: "if (!task.isCompleting) this.#release([task]);",
		to: "",
	},
	{
		name: "stop: what was not begun is not given back",
		file: turns,
		from: "this.#release(this.#ahead.splice(0));\n\t\tthis.#release(this.#parking.clear());",
		to: "this.#ahead = [];",
	},
	{
		name: "stop: running tasks are not told",
		file: turns,
		from: "for (const task of this.#running) task.abort(reason);",
		to: "",
	},
	{
		name: "crashes: one that has crashed twice runs beside others",
		file: task,
		from: "return this.claim.crashes >= 2;",
		to: "return false;",
	},
	{
		name: "crashes: a task that is out of attempts is run",
		file: task,
		from: "attempts < this.#kind.settings.attempts) return undefined;",
		to: "attempts < Infinity) return undefined;",
	},
	{
		name: "crashes: kinds with few attempts are claimed ahead",
		file: "src/basket/requests.ts",
		from: "this.#lists = [1, 3, Infinity]",
		to: "this.#lists = [1, 3, 1]",
	},
	{
		name: "crashes: others wait for what must run alone",
		file: "src/basket/parking.ts",
		from: "const durations = { quiet: 1_000,",
		to: "const durations = { quiet: 100_000,",
	},
	{
		name: "crashes: nothing is claimed while something must run alone",
		file: "src/basket/parking.ts",
		from: 'return this.#state === "empty" || (this.#state === "busy" && this.#tasks.length < most);',
		to: 'return this.#state === "empty";',
	},
	{
		name: "complete: done without a commit",
		file: task,
		from: "if (this.isCompleting) return this.#verify(step);",
		to: "",
	},
	{
		name: "complete: what may be committed is given back by a stop",
		file: turns,
		from: "if (!task.isCompleting) this.#release([task]);",
		to: "this.#release([task]);",
	},
	{
		name: "complete: what somebody else has taken over counts as committed",
		file: task,
		from: "if (isItsOwn && !this.isExpired && !this.#isLeaseOver())",
		to: "if (isItsOwn)",
	},
	{
		name: "complete: a renewal that hangs is the last one",
		file: claims,
		from: "now < this.#askAt",
		to: "this.#asking > 0",
	},
	{
		name: "complete: what was claimed anew meanwhile counts as committed",
		file: task,
		from: "if (claim !== this.claim) return await ask(); // claimed anew meanwhile",
		to: "",
		test: "test/basket/complete.test.ts",
	},
	{
		name: "complete: what was rolled back late is not given back",
		file: task,
		from: "else if (!this.isExpired) this.lose();",
		to: "else this.lose();",
		test: "test/basket/complete.test.ts",
	},
	{
		name: "complete: a second transaction on the same connection is taken for the first one",
		file: task,
		from: "before === tx && !this.isCompleted &&",
		to: "before === tx &&",
		test: "test/basket/complete.test.ts",
	},
	{
		name: "delete: whatever has the id now has lost its claim",
		file: "src/basket/basket-engine.ts",
		from: "for (const task of claims) task?.lose();",
		to: "for (const id of ids) this.worker.claims.get(id)?.lose();",
		test: "test/basket/late-answers.test.ts",
	},
	{
		name: "store: tokens are not compared",
		file: memory,
		from: 'task?.state === "running" && task.token === token',
		to: 'task?.state === "running" && token !== ""',
	},
	{
		name: "store: crashes are not counted",
		file: memory,
		from: "task.attempts++;\n\t\t\ttask.crashes++;",
		to: "task.attempts++;",
	},
	{
		name: "store: crashes are never forgotten",
		file: memory,
		from: 'if (type !== "release" || outcome.delay !== undefined) task.crashes = 0;',
		to: "",
	},
	{
		name: "store: nobody moves up in a lane",
		file: memory,
		from: "next.previous = previous;\n\t\t\tthis.#place(next, next.at);",
		to: "next.previous = previous;",
	},
	{
		name: "store: what is held is claimed",
		file: memory,
		from: "if (task.isHeld || task.previous !== undefined) this.#queue.remove(task);",
		to: "if (task.previous !== undefined) this.#queue.remove(task);",
	},
	{
		name: "store: messages that were seen stay",
		file: memoryTask,
		from: "\tforget(task, seen);\n\treturn",
		to: "\treturn",
		jobs: true,
	},
	{
		name: "store: an extended lease stays as it is",
		file: memory,
		from: "this.#place(task, this.now + lease);\n\t\treturn task.inbox",
		to: "return task.inbox",
	},
	{
		name: "jobs: a step begins before the one before it is stored",
		file: jobRun,
		from: "if (!await this.#save()) return await this.#later(0);",
		to: "void this.#save;",
		jobs: true,
	},
	{
		name: "jobs: a cancel does not reach the running step",
		file: jobRun,
		from: "this.#attempt?.abort(cancelled());",
		to: "",
		jobs: true,
	},
	{
		name: "jobs: a message begins a delayed one",
		file: jobRun,
		from: "return early > 0 ? await this.#later(early) : await this.#proceed();",
		to: "return await this.#proceed();",
		jobs: true,
	},
	{
		name: "what is lost before it begins is kept",
		file: turns,
		from: "if (task.isOver) return this.#release([task]);",
		to: "if (task.isOver) return;",
		test: "test/basket/claims.test.ts",
	},
	{
		name: "IntermittentMap: an entry is removed that is not its own",
		file: "src/intermittent/intermittent-map.ts",
		from: 'if (entry.state === "idle" && this.#entries.get(key) === entry)',
		to: 'if (entry.state === "idle")',
		test: "test/intermittent/intermittent.test.ts",
	},
	{
		name: "IntermittentMap: an attach inside of a stop is ended by that stop",
		file: "src/intermittent/intermittent-map.ts",
		from: "if (this.#stopping > 0) {",
		to: "if (this.#stopping < 0) {",
		test: "test/intermittent/intermittent.test.ts",
	},
	{
		name: "Intermittent: a stop leaves its listeners on the signals",
		file: "src/intermittent/intermittent.ts",
		from: "unlink(attachment.signal, attachment);",
		to: "",
		test: "test/dispose.test.ts",
	},
	{
		name: "others' changes: what the store says of claims is not heeded",
		file: "src/basket/worker.ts",
		from: 'if (reason === "claims") this.claims.look();',
		to: "",
		test: "test/basket/claims.test.ts",
	},
	{
		name: "others' changes: a claim is not looked at whose task was deleted before it was answered",
		file: claims,
		from: "if (this.#heardAt >= leaseEndsAt - this.settings.lease) this.#lookSoon();",
		to: "",
		test: "test/basket/claims.test.ts",
	},
	{
		name: "others' changes: each of them costs a call",
		file: claims,
		from: "Math.max(this.#heardAt, this.#lookedAt + pause)",
		to: "this.#heardAt",
		test: "test/basket/claims.test.ts",
	},
	{
		name: "others' changes: the store says nothing of a running task that is deleted",
		file: memory,
		from: 'this.#queue.end(task);\n\t\t\tthis.#stir("claims");',
		to: "this.#queue.end(task);",
		test: "test/basket/claims.test.ts",
	},
	{
		name: "replacing: a waiting task keeps its attempts",
		file: memoryTask,
		from: "if (!isRunning && !isCollected) renew(task);",
		to: "",
	},
	{
		name: "replacing: the newest payload is lost at a crash",
		file: memory,
		from: "if (task.replacement !== undefined) this.#take(task, task.replacement);",
		to: "task.replacement = undefined;",
	},
	{
		name: "replacing: the newest payload is lost at a release",
		file: memory,
		from: "\t\tconst { replacement } = task;\n",
		to: '\t\tif (type === "release") task.replacement = undefined;\n\t\tconst { replacement } = task;\n',
	},
	{
		name: "replacing: a retry keeps the old payload",
		file: memory,
		from: "if (replacement !== undefined) {",
		to: 'if (replacement !== undefined && type !== "retry") {',
	},
	{
		name: "replacing: a done task forgets the payload behind it",
		file: memory,
		from: "if (hasEnded && task.replacement === undefined && left === 0) {",
		to: "if (hasEnded && left === 0) {",
	},
	{
		name: "replacing: the delay does not count behind a running task",
		file: memory,
		from: "at = Math.max(at, replacement.at);",
		to: ";",
	},
	{
		name: "collecting: what comes during a run is lost when that is done",
		file: memoryTask,
		from: "\tforget(task, seen);\n\treturn",
		to: "\tforget(task, Infinity);\n\treturn",
	},
	{
		name: "collecting: an item that exceeds a run is lost",
		file: "src/basket/collecting.ts",
		from: "const seen = items.at(-1)?.n;",
		to: "const seen = inbox.at(-1)?.n;",
	},
	{
		name: "collecting: a dead task forgets its items when another one is added",
		file: memoryTask,
		from: 'return item !== undefined && state === "dead" ? { inbox, posted } : undefined;',
		to: "return undefined;",
	},
	{
		name: "collecting: an item shortens the backoff of those before it",
		file: memoryTask,
		from: "const at = hasFailed && isCollected ? task.at : ",
		to: "const at = ",
	},
	{
		name: "collecting: enough items behind a running task wait for their delay",
		file: memoryTask,
		from: "isFull: task.inbox.length >= most };",
		to: "isFull: false };",
	},
	{
		name: "collecting: a failed run changes what is stored of its items",
		file: task,
		from: "|| this.#collected !== undefined ||",
		to: "||",
	},
	{
		name: "replacing: a committed task is reported as lost if this process has claimed what has replaced it",
		file: claims,
		from: 'before.renewed("lost", 0);\n\t\t\tif (!before.isCompleted) before.lose();',
		to: "before.lose();",
		test: "test/basket/complete.test.ts",
	},
	{
		name: "pauses: a turn ignores that of a kind",
		file: queue,
		from: "this.#paused.has(kind) ? [] : ",
		to: "",
	},
	{
		name: "pauses: a turn ignores that of all kinds",
		file: queue,
		from: "if (this.#paused.has(undefined)) return [];",
		to: "",
	},
	{
		name: "later: it counts an attempt",
		file: memory,
		from: 'if (type === "retry" || type === "release") at += outcome.delay ?? 0;',
		to:
			'if (type === "retry" || type === "release") at += outcome.delay ?? 0;\n\t\tif (type === "release" && outcome.delay !== undefined) task.attempts++;',
	},
	{
		name: "results: a task gets that of another run",
		file: task,
		from: "result: await this.#encode(value) } };",
		to: 'result: String(await this.#encode(value)).replace(/\\d+/, "1") } };',
	},
	{
		name: "retention: a dead task is there after its time",
		file: memory,
		from: "return isOver(task) && task.at <= this.now;",
		to: 'return task.state === "done" && task.at <= this.now;',
	},
	{
		name: "stop with finish: a task begins",
		file: "src/basket/worker.ts",
		from: "return !this.#isPaused && this.#endPatience === undefined &&",
		to: "return !this.#isPaused &&",
	},
	{
		name: "stop with finish: a call that comes meanwhile ends, too",
		file: "src/basket/worker.ts",
		from: "for (const user of all) user.abort(reason);",
		to: "for (const user of this.users.all) user.abort(reason);",
	},
	{
		name: "limits: a gate does not count what is running",
		file: gates,
		from: "return this.running.size < (limit?.atOnce ?? Infinity);",
		to: "return true;",
	},
	{
		name: "limits: a release keeps its start",
		file: gates,
		from: "if (isTakenBack && start?.at === this.#lastAt) this.#next -= start.spacing;",
		to: "",
	},
	{
		name: "limits: a release takes a start back that later ones have followed",
		file: gates,
		from: "if (isTakenBack && start?.at === this.#lastAt)",
		to: "if (isTakenBack && start !== undefined)",
		test: suite,
	},
	{
		name: "limits: the claim that takes up a crashed task is no start",
		file: queue,
		from: "if (task.limitKey === undefined) return;",
		to: 'if (task.limitKey === undefined || task.state === "running") return;',
	},
	{
		name: "limits: a key that is shut stays open",
		file: gates,
		from: "this.#shutUntil = Math.max(this.#shutUntil, until);",
		to: "",
	},
	{
		name: "limits: the gate of a key without tasks is forgotten at once",
		file: gates,
		from: "Infinity : Math.max(this.#next, this.#shutUntil)",
		to: "Infinity : -Infinity",
	},
	{
		name: "limits: a deleted task keeps its place",
		file: memory,
		from: 'this.#queue.end(task);\n\t\t\tthis.#stir("claims");',
		to: 'this.#stir("claims");',
	},
	{
		name: "limits: a key is served again and again while others wait",
		file: gates,
		from: "if (gate !== undefined) this.#move(gate, this.#open, ++this.#turns);",
		to: "",
		test: suite,
	},
	{
		name: "limits: nobody is woken when a place becomes free",
		file: memory,
		from: "if (this.#queue.takeLeft()) this.#stir();",
		to: "",
		test: suite,
	},
	{
		name: "limits: a crashed task with another key stays at its place",
		file: memory,
		from: "if (task.limitKey !== limitKey) {",
		to: "if (task.limitKey !== task.limitKey) {",
		test: suite,
	},
	{
		name: "limits: a worker does not say them to its store",
		file: "src/basket/requests.ts",
		from: "limit === undefined ? [] : { kind, ...limit.bounds }",
		to: "limit === undefined ? [] : { kind, ...limit.bounds, atOnce: Infinity }",
	},
];
