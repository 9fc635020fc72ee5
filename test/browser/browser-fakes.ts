// Fakes of browser APIs, so that every engine can run the tests of upkeep/browser.
import { onTestFinished } from "vitest";
import type { Locks } from "../../src/browser/browser.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

/** Replaces a property of an object until the end of the test. */
export function replace(object: object, name: string, value: unknown): void {
	const before = Object.getOwnPropertyDescriptor(object, name);
	Object.defineProperty(object, name, { configurable: true, writable: true, value });
	onTestFinished(() => {
		if (before) Object.defineProperty(object, name, before);
		else delete (object as Record<string, unknown>)[name];
	});
}

/** Replaces the global scope as an event target, and counts the listeners. */
export class FakeScope extends EventTarget {
	readonly #listeners: { type: string; listener: EventListener }[] = [];

	constructor() {
		super();
		// The library detects a browser by this property.
		replace(globalThis.navigator, "onLine", true);
		replace(globalThis, "addEventListener", (type: string, listener: EventListener) => {
			this.#listeners.push({ type, listener });
			this.addEventListener(type, listener);
		});
		replace(globalThis, "removeEventListener", (type: string, listener: EventListener) => {
			const index = this.#listeners.findIndex((entry) => entry.type === type && entry.listener === listener);
			if (index >= 0) this.#listeners.splice(index, 1);
			this.removeEventListener(type, listener);
		});
	}

	/** The event types of all listeners in order, with one entry per listener. */
	get listened(): string[] {
		return this.#listeners.map(({ type }) => type).sort();
	}

	dispatch(type: string, fields: object = {}): void {
		this.dispatchEvent(Object.assign(new Event(type), fields));
	}
}

/** Makes the document visible or hidden. Creates a document if the engine has none. */
export function setVisibility(visibilityState: "visible" | "hidden"): void {
	if (typeof document === "object") replace(document, "visibilityState", visibilityState);
	else replace(globalThis, "document", { visibilityState });
}

/** Web Locks of one name. */
export class FakeLocks implements Locks {
	steals = 0;
	/** Whether the holder of a stolen lock is not notified yet, like a frozen page. */
	isDeaf = false;
	#holder: { reject(reason: unknown): void } | undefined;
	#queue: (() => void)[] = [];

	/** The number of contexts that hold the lock or wait for it. */
	get size(): number {
		return this.#queue.length + Number(this.#holder !== undefined);
	}

	request(
		_name: string,
		{ signal, steal = false }: { signal?: AbortSignal; steal?: boolean },
		callback: () => Promise<void> | undefined,
	): Promise<unknown> {
		return new Promise((resolve, reject) => {
			const grant = () => {
				const holder = this.#holder = { reject };
				queueMicrotask(async () => {
					await callback();
					resolve(undefined);
					if (this.#holder === holder) this.#next();
				});
			};
			signal?.addEventListener("abort", () => {
				if (!this.#queue.includes(grant)) return;
				this.#queue.splice(this.#queue.indexOf(grant), 1);
				reject(signal.reason);
			});
			if (steal) {
				this.steals++;
				if (!this.isDeaf) this.#holder?.reject(new DOMException("Stolen", "AbortError"));
				grant();
			} else if (this.#holder) this.#queue.push(grant);
			else grant();
		});
	}

	#next(): void {
		this.#holder = undefined;
		this.#queue.shift()?.();
	}
}

/** Replaces BroadcastChannel. Delivers messages in the next microtask. */
export class FakeChannels {
	readonly open: Set<{ name: string; onmessage?: (event: { data: unknown }) => void }> = new Set();

	constructor() {
		const { open } = this;
		class FakeChannel {
			onmessage?: (event: { data: unknown }) => void;
			readonly name: string;
			constructor(name: string) {
				this.name = name;
				open.add(this);
			}
			postMessage(data: unknown): void {
				for (const channel of open) {
					if (channel !== this && channel.name === this.name) queueMicrotask(() => channel.onmessage?.({ data }));
				}
			}
			close(): void {
				open.delete(this);
			}
		}
		replace(globalThis, "BroadcastChannel", FakeChannel);
	}
}

/** A clock that can jump while its timers stand still, like the clock of a frozen page. */
export class FreezableClock extends VirtualClock {
	#jumped = 0;

	override monotonic(): number {
		return super.monotonic() + this.#jumped;
	}

	/** Advances the time without firing timers. */
	jump(duration: number): void {
		this.#jumped += duration;
	}
}
