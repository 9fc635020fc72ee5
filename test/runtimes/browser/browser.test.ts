// upkeep/browser with real browser APIs. test/browser/browser.test.ts has the other tests, which use fakes.
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { sleep, type Subscribable } from "../../../mod.ts";
import { leader, type LeaderOptions, online, persistStorage, visible } from "../../../src/browser/browser.ts";
import { soon } from "../../../src/platform/soon.ts";
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

/**
 * Notes the ports that post a message, and those that are closed. The classes stay as they are: once WebKit has compiled a
 * function, that goes on with the former class after a global one was replaced.
 */
function spyPorts(deliver = () => true) {
	const spied = { posted: new Set<MessagePort>(), closed: new Set<MessagePort>() };
	const { postMessage, close } = MessagePort.prototype;
	replace(MessagePort.prototype, "postMessage", function (this: MessagePort, message: unknown) {
		spied.posted.add(this);
		if (deliver()) postMessage.call(this, message);
	});
	replace(MessagePort.prototype, "close", function (this: MessagePort) {
		spied.closed.add(this);
		close.call(this);
	});
	return spied;
}

const macrotask = () => new Promise<void>((resolve) => soon(resolve));

test("macrotasks that follow each other need one message channel: at each message, WebKit asks about all that are open", async () => {
	await macrotask();
	const { posted } = spyPorts();
	for (let i = 0; i < 1_000; i++) await macrotask();
	for (let i = 0; i < 100; i++) await sleep(0);
	// Another wait of the page may have had the channel.
	expect([1, 2]).toContain(posted.size);
});

test("macrotasks at the same time leave one channel open, however many they are", async () => {
	const { posted, closed } = spyPorts();
	await Promise.all(Array.from({ length: 500 }, macrotask));
	await Promise.all(Array.from({ length: 500 }, (_, n) => sleep((500 - n) / 100)));
	expect(posted.size).toBeGreaterThanOrEqual(500);
	// Some may still be under way, and another wait of the page may have the one that is left.
	await vi.waitFor(() => expect(posted.size - closed.size).toBeLessThanOrEqual(2), 10_000);
});

test("macrotasks that follow each other begin in order, each after the promises of the one before, and once", async () => {
	const seen: string[] = [];
	const turn = (name: string, next?: () => void) =>
		soon(() => {
			seen.push(name);
			void Promise.resolve().then(() => seen.push(`${name}'s promise`));
			next?.();
		});
	await new Promise<void>((resolve) => {
		turn("a", () => turn("c", () => turn("d", resolve)));
		turn("b");
		void Promise.resolve().then(() => seen.push("promise"));
	});
	await vi.waitFor(() => expect(seen).toContain("b's promise"), 10_000);
	await new Promise<void>((resolve) => soon(resolve));
	// WebKit does not keep the order of those that are under way at the same time.
	const at = seen.indexOf("b");
	expect(seen.slice(at, at + 2)).toEqual(["b", "b's promise"]);
	const rest = seen.filter((_, index) => index !== at && index !== at + 1);
	expect(rest).toEqual(["promise", ...["a", "c", "d"].flatMap((name) => [name, `${name}'s promise`])]);
	if (!/AppleWebKit(?!.*Chrome)/.test(navigator.userAgent)) expect(at).toBe(3);
});

test("a macrotask that never comes keeps no other one", async () => {
	let left = 1;
	const { posted } = spyPorts(() => left-- !== 1);
	let isSeen = false;
	soon(() => (isSeen = true));
	expect([left, posted.size]).toEqual([0, 1]);
	await Promise.all(Array.from({ length: 10 }, macrotask));
	for (let i = 0; i < 10; i++) await macrotask();
	await Promise.all(Array.from({ length: 10 }, () => sleep(1)));
	expect(isSeen).toBe(false);
});
