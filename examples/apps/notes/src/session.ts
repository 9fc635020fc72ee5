/**
 * The login, as the gate of the outbox: open until the server refuses a request, and open again after the next login.
 * All tabs and the service worker hear of it.
 *
 * The session itself is a cookie that scripts cannot read. The browser also sends it with requests of the service worker.
 */

import type { Subscribable } from "upkeep";

const user = "user";

class Session implements Subscribable<boolean> {
	readonly #channel = new BroadcastChannel("session");
	readonly #listeners = new Set<() => void>();
	#isOpen = true;

	constructor() {
		this.#channel.onmessage = ({ data }) => this.#set(data);
	}

	readonly subscribe = (listener: () => void): () => void => {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	};

	readonly getSnapshot = (): boolean => this.#isOpen;

	/** Whose notes are on this device; `null` after a logout. Only pages can read it. */
	readonly getUser = (): string | null => localStorage.getItem(user);

	/** Like `fetch`, and closes the gate if the server does not know us anymore. */
	async fetch(path: string, init?: RequestInit): Promise<Response> {
		const response = await fetch(path, init);
		if (response.status === 401) this.#tell(false);
		return response;
	}

	async login(name: string): Promise<void> {
		const response = await fetch("/api/login", { method: "POST", body: name });
		if (!response.ok) throw new Error(`The server answers ${response.status}`);
		localStorage.setItem(user, name);
		this.#tell(true);
	}

	/** Forgets the user on this device. Without a network, the session of the server lasts until it expires. */
	async logout(): Promise<void> {
		localStorage.removeItem(user);
		this.#tell(false);
		await fetch("/api/logout", { method: "POST" }).catch(() => {});
	}

	#tell(isOpen: boolean): void {
		this.#channel.postMessage(isOpen);
		this.#set(isOpen);
	}

	#set(isOpen: boolean): void {
		this.#isOpen = isOpen;
		for (const listener of [...this.#listeners]) listener();
	}
}

export const session: Session = new Session();
