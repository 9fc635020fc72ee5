// The number of statements that an idle worker sends. A proxy counts them in the messages of the protocol, so that
// none is missed and the server needs no extension.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import process from "node:process";
import { parameters, report } from "../measure.ts";
import { openQueue, pause, withDatabase } from "./postgres-queues.ts";

/** In milliseconds. It exceeds a minute, because some statements may be sent once a minute. */
const idling = parameters().get("plan") === "quick" ? 15_000 : 125_000;
let statements = 0;

await withDatabase(async (url) => {
	const target = new URL(url);
	const port = Number(target.port);
	const relay = createServer((client) => relayTo(client, port)).listen(0, "127.0.0.1");
	await once(relay, "listening");
	target.port = `${(relay.address() as AddressInfo).port}`;
	const queue = await openQueue(parameters().get("case")!, target.href);
	await queue.work(() => {});
	await queue.addOne(1);
	await pause(3_000);
	const before = statements;
	await pause(idling);
	await report((statements - before) * 60_000 / idling);
});
process.exit();

function relayTo(client: Socket, port: number): void {
	const server = connect(port, "127.0.0.1");
	server.pipe(client).on("error", () => server.destroy());
	client.pipe(server).on("error", () => client.destroy());
	const count = counter();
	client.on("data", count);
}

/** Reads messages. A message begins with a letter and a length, which includes itself. The first message has no letter. */
function counter(): (chunk: Uint8Array) => void {
	let unread: Buffer = Buffer.alloc(0);
	let header = 0;
	return (chunk) => {
		unread = Buffer.concat([unread, chunk]);
		while (unread.length >= header + 4) {
			const end = header + unread.readUInt32BE(header);
			if (unread.length < end) return;
			// A query, or the execution of a prepared one.
			if (header === 1 && (unread[0] === 0x51 || unread[0] === 0x45)) statements++;
			unread = unread.subarray(end);
			header = 1;
		}
	};
}
