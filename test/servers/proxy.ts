// A TCP proxy between a client and a server on this machine, with which a test cuts the line, freezes it, or leads it to
// another server.
import { connect, createServer, type Server, type Socket } from "node:net";

/** How many bytes of what a client has said last are remembered. */
const remembered = 65_536;

/** One connection through a {@link Proxy}. */
export interface Line {
	/** What the client has said last, some kilobytes of it at most, a character for each byte. */
	readonly said: string;
	/** Whether nothing goes through any more, in either direction, while both ends are kept open. */
	readonly isFrozen: boolean;
}

/** Listens on a port of its own, until it is closed. */
export class Proxy {
	/** Where new connections are led to; those that are there stay. */
	target: number;
	/** Whether new connections are accepted, and nothing of what is said on them goes through. */
	isHole = false;
	/** Whether new connections end at once, as if no server were there. */
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

	/** The connections that are open. */
	get lines(): readonly Line[] {
		return [...this.#lines];
	}

	/** Lets nothing through any more, as a cable that was pulled: nobody is told. By default on all lines. */
	freeze(isMeant: (line: Line) => boolean = () => true): number {
		return this.#each(isMeant, (line) => line.freeze());
	}

	/** Lets through what has piled up, and what follows. */
	thaw(isMeant: (line: Line) => boolean = () => true): number {
		return this.#each(isMeant, (line) => line.thaw());
	}

	/** Ends connections at both ends, with a reset. By default all of them. */
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
	/** What was said while it was frozen, and who has hung up. */
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
