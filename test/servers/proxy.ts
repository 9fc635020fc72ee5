// A TCP proxy between a client and a server on this machine. A test can cut or freeze connections, or redirect them
// to another server.
import { connect, createServer, type Server, type Socket } from "node:net";

/** The number of recent bytes of a client that are kept. */
const remembered = 65_536;

/** A connection through a {@link Proxy}. */
export interface Line {
	/** The most recent data from the client, up to some kilobytes, with one character per byte. */
	readonly said: string;
	/** Whether data is held back in both directions while both ends stay open. */
	readonly isFrozen: boolean;
}

/** Listens on its own port until it is closed. */
export class Proxy {
	/** The target port of new connections. Existing connections are unchanged. */
	target: number;
	/** Whether new connections are accepted without forwarding their data. */
	isHole = false;
	/** Whether new connections end at once, as if there were no server. */
	isClosed = false;
	readonly #server: Server;
	readonly #lines = new Set<ProxyLine>();

	private constructor(target: number) {
		this.target = target;
		this.#server = createServer((socket) => this.#accept(socket));
	}

	/** @param target the port of the server */
	static async open(target: number): Promise<Proxy> {
		const proxy = new Proxy(target);
		await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
		return proxy;
	}

	/** The port that clients connect to. */
	get port(): number {
		return (this.#server.address() as { port: number }).port;
	}

	/** The open connections. */
	get lines(): readonly Line[] {
		return [...this.#lines];
	}

	/** Freezes connections, by default all, like a pulled cable: neither end is notified. */
	freeze(isMeant: (line: Line) => boolean = () => true): number {
		return this.#each(isMeant, (line) => line.freeze());
	}

	/** Forwards the held data, and all further data. */
	thaw(isMeant: (line: Line) => boolean = () => true): number {
		return this.#each(isMeant, (line) => line.thaw());
	}

	/** Resets connections at both ends, by default all. */
	cut(isMeant: (line: Line) => boolean = () => true): number {
		return this.#each(isMeant, (line) => line.cut());
	}

	async close(): Promise<void> {
		const closed = new Promise<unknown>((resolve) => this.#server.close(resolve));
		this.cut();
		await closed;
	}

	#accept(client: Socket): void {
		if (this.isClosed) return void client.destroy();
		const line = new ProxyLine(client, connect(this.target, "127.0.0.1"), () => this.#lines.delete(line));
		this.#lines.add(line);
		if (this.isHole) line.freeze();
	}

	#each(isMeant: (line: Line) => boolean, change: (line: ProxyLine) => void): number {
		const meant = [...this.#lines].filter(isMeant);
		meant.forEach(change);
		return meant.length;
	}
}

class ProxyLine implements Line {
	said = "";
	isFrozen = false;
	readonly #ends: readonly [Socket, Socket];
	readonly #onClosed: () => void;
	/** Data and closes that arrived while the connection was frozen. */
	#late: (() => void)[] = [];

	constructor(client: Socket, server: Socket, onClosed: () => void) {
		this.#ends = [client, server];
		this.#onClosed = onClosed;
		client.on("data", (data) => {
			this.said = (this.said + data.toString("latin1")).slice(-remembered);
		});
		this.#join(client, server);
		this.#join(server, client);
	}

	freeze(): void {
		this.isFrozen = true;
	}

	thaw(): void {
		this.isFrozen = false;
		for (const pass of this.#late.splice(0)) pass();
	}

	cut(): void {
		for (const end of this.#ends) end.destroy();
	}

	#join(from: Socket, to: Socket): void {
		from.setNoDelay(true);
		from.on("error", () => {}); // "close" follows
		from.on("data", (data) => this.#pass(() => to.destroyed || to.write(data)));
		from.on("end", () => this.#pass(() => to.destroyed || to.end()));
		from.on("close", (hasFailed) => {
			this.#pass(() => hasFailed ? to.destroy() : to.end());
			if (to.destroyed) this.#onClosed();
		});
	}

	#pass(action: () => void): void {
		if (this.isFrozen) this.#late.push(action);
		else action();
	}
}
