// upkeep/browser with real browser APIs. test/browser/browser.test.ts has the other tests, which use fakes.
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { sleep, type Subscribable } from "../../../mod.ts";
import { leader, type LeaderOptions, online, persistStorage, visible } from "../../../src/browser/browser.ts";
import { VirtualClock } from "../../../src/testing/testing.ts";
import { replace } from "../../browser/browser-fakes.ts";

let names = 0;
/** Returns a name of a leadership that no other test uses. */
const newName = () => `test ${performance.timeOrigin} ${names++}`;

class Candidate {
	readonly clock = new VirtualClock();
	readonly seen: boolean[] = [];
	readonly stop: () => void;
	readonly #gate: Subscribable<boolean>;

	constructor(name: string, options: LeaderOptions = {}) {
		this.#gate = leader(name, { clock: this.clock, onError: (error) => expect.unreachable(`${error}`), ...options });
		this.stop = this.#gate.subscribe(() => this.seen.push(this.isOpen));
		onTestFinished(() => this.stop());
	}

	get isOpen(): boolean {
		return this.#gate.getSnapshot();
	}

	/** Resolves when the gate has the given state. */
	async becomes(isOpen: boolean): Promise<void> {
		await vi.waitFor(() => expect(this.isOpen).toBe(isOpen));
	}
}

/** Returns the number of contexts that hold the lock of a leadership or wait for it. */
async function countLocks(name: string): Promise<number> {
	const { held, pending } = await navigator.locks.query();
	return [...held!, ...pending!].filter((lock) => lock.name === `upkeep:leader:${name}`).length;
}

describe("leader() with Web Locks", () => {
	test("is open for one, and for the next one when that leaves", async () => {
		const name = newName();
		const [first, second] = [new Candidate(name), new Candidate(name)];
		const another = new Candidate(newName());
		await first.becomes(true);
		await another.becomes(true);
		await vi.waitFor(async () => expect(await countLocks(name)).toBe(2));
		expect(second.isOpen).toBe(false);
		first.stop();
		expect(first.isOpen).toBe(false);
		await second.becomes(true);
		second.stop();
		await vi.waitFor(async () => expect(await countLocks(name)).toBe(0));
		expect([first.seen, second.seen]).toEqual([[true, false], [true, false]].map(([open]) => [open]));
	});

	test("hears the leader's beat, and takes the lock away when there is none", async () => {
		const name = newName();
		const first = new Candidate(name);
		await first.becomes(true);
		const second = new Candidate(name);
		const beats = new BroadcastChannel(`upkeep:leader:${name}`);
		onTestFinished(() => beats.close());
		for (let i = 0; i < 10; i++) {
			const beat = new Promise((resolve) => beats.onmessage = resolve);
			await first.clock.advance(10_000 / 3);
			await beat;
			await second.clock.advance(10_000 / 3);
		}
		expect([first.seen, second.seen]).toEqual([[true], []]);
		await second.clock.advance(20_000);
		await second.becomes(true);
		await first.becomes(false);
		second.stop();
		await first.becomes(true);
		expect([first.seen, second.seen]).toEqual([[true, false, true], [true]]);
	});

	test("competes with a worker, whose death frees the lead", async () => {
		const name = newName();
		const worker = new Worker(new URL("../../fixtures/candidate.ts", import.meta.url), { type: "module" });
		onTestFinished(() => worker.terminate());
		const told: unknown[] = [];
		worker.onmessage = ({ data }) => told.push(data);
		worker.postMessage(name);
		await vi.waitFor(() => expect(told).toEqual(["joined", true]), 10_000);
		const candidate = new Candidate(name);
		await vi.waitFor(async () => expect(await countLocks(name)).toBe(2));
		expect(candidate.isOpen).toBe(false);
		worker.postMessage("stop");
		await candidate.becomes(true);
		worker.postMessage(name);
		await vi.waitFor(async () => expect(await countLocks(name)).toBe(2));
		candidate.stop();
		await vi.waitFor(() => expect(told).toEqual(["joined", true, "stopped", "joined", true]));
		const last = new Candidate(name);
		worker.terminate();
		await last.becomes(true);
	});

	test("competes with another document, whose end frees the lead", async () => {
		const name = newName();
		const frame = document.createElement("iframe");
		document.body.append(frame);
		onTestFinished(() => frame.remove());
		const inside = new Candidate(name, { locks: frame.contentWindow!.navigator.locks });
		await inside.becomes(true);
		const outside = new Candidate(name);
		await vi.waitFor(async () => expect(await countLocks(name)).toBe(2));
		expect(outside.isOpen).toBe(false);
		frame.remove();
		await outside.becomes(true);
	});

	test("gives everything up while the page is cached or frozen", async () => {
		const name = newName();
		const candidate = new Candidate(name);
		await candidate.becomes(true);
		for (
			const [target, hide, show] of [[globalThis, "pagehide", "pageshow"], [document, "freeze", "resume"]] as const
		) {
			target.dispatchEvent(new Event(hide));
			expect(candidate.isOpen).toBe(false);
			await vi.waitFor(async () => expect(await countLocks(name)).toBe(0));
			target.dispatchEvent(new Event(show));
			await candidate.becomes(true);
		}
	});
});

describe("hints of a page", () => {
	test("online() and visible() hear the events of the window and of the document", () => {
		const [onOnline, onVisible] = [vi.fn(), vi.fn()];
		const stops = [online().subscribe(onOnline), visible().subscribe(onVisible)];
		const dispatchAll = () => {
			replace(document, "visibilityState", "visible");
			globalThis.dispatchEvent(new Event("online"));
			for (const type of ["visibilitychange", "resume"]) document.dispatchEvent(new Event(type));
			globalThis.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
		};
		dispatchAll();
		for (const stop of stops) stop();
		dispatchAll();
		expect([onOnline.mock.calls.length, onVisible.mock.calls.length]).toEqual([1, 3]);
	});
});

test.each(["visibilitychange", "resume", "pageshow", "online"])("systemClock catches up on %s", async (type) => {
	await sleep(1);
	const { setTimeout } = globalThis;
	let isHeldBack = true;
	replace(globalThis, "setTimeout", (...args: [() => void, number]) => isHeldBack ? 0 : setTimeout(...args));
	const slept = sleep(5);
	await new Promise((resolve) => setTimeout(resolve, 20));
	isHeldBack = false;
	(type.startsWith("v") || type === "resume" ? document : globalThis).dispatchEvent(new Event(type));
	await slept;
});

test("persistStorage() tells what this browser says", async () => {
	const storage = navigator.storage as StorageManager | undefined; // WebKitGTK has none
	if (storage) replace(storage, "persist", undefined); // otherwise Firefox would ask the user
	const { state, usage = 0, quota = 1 } = await persistStorage();
	expect(state).toBe(storage ? "best-effort" : "unknown");
	expect(usage).toBeLessThan(quota);
});

// Only Chromium has Background Sync; there a missing one is a failure.
test.skipIf(!navigator.userAgent.includes("Chrome/"))(
	"backgroundSync() drains in a service worker that the browser wakes",
	async () => {
		const script = new URL("../../fixtures/sync-worker.ts", import.meta.url);
		const registration = await navigator.serviceWorker.register(script, { type: "module" });
		onTestFinished(async () => void await registration.unregister());
		const worker = registration.installing ?? registration.active!;
		await vi.waitFor(() => expect(worker.state).toBe("activated"), 10_000);
		const answers: unknown[] = [];
		const { port1, port2 } = new MessageChannel();
		onTestFinished(() => port1.close());
		port1.onmessage = ({ data }) => answers.push(data);
		worker.postMessage("add", [port2]);
		await vi.waitFor(() => expect(answers).toEqual(["added", "drained"]), 10_000);
	},
);
