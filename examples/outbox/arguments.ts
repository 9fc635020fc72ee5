/** The command line. */

import { fileURLToPath } from "node:url";
import { parseOptions, UsageError } from "../shared/arguments.ts";

export const usage =
	`An outbox: accepts JSON messages, stores them in an SQLite file, and sends each to a webhook until it is delivered.

  outbox.ts [options]

  --port <n>           default: the last port if it is free, otherwise any free one
  --webhook <url>      gets each message as a POST; default: its own flaky endpoint, which gets demo messages
  --db <file>          default: .outbox/outbox.db in this project
  --for <seconds>      end after this time
  --no-demo            sends no demo messages
  --plain              lines instead of the live view, as in a pipe or if CI is set
  --help

Messages come as JSON lines on standard input, from the page at the printed address, and over HTTP:

  curl -d '{ "to": "ada", "text": "hello" }' -H 'Idempotency-Key: hello-1' http://127.0.0.1:<port>/messages
  curl http://127.0.0.1:<port>/messages                            waiting, dead and delivered messages
  curl -X POST http://127.0.0.1:<port>/messages/hello-1/retry      retries it at once; restarts a dead one
  curl -X DELETE http://127.0.0.1:<port>/messages/hello-1

The id of a message is its Idempotency-Key, or its own "id". A message with the id of a stored one is accepted, and not
stored again. The webhook gets the id as Idempotency-Key. If it answers with 4xx other than 408, 425 and 429, the message
is dead. Kill the program with SIGKILL and start it again: it resumes. Any number of processes can work on one file.
Exit codes: 0, also after Ctrl-C; 1 if the file or the port cannot be used; 2 after bad arguments; 130 after a second Ctrl-C.
`;

export interface Options {
	/** `undefined`: any. */
	readonly port: number | undefined;
	/** `undefined`: its own endpoint. */
	readonly webhook: string | undefined;
	readonly file: string;
	/** In milliseconds. */
	readonly duration: number;
	readonly isDemo: boolean;
	readonly isPlain: boolean;
	readonly isHelp: boolean;
}

export function readArguments(args: string[]): Options {
	const text = { type: "string" } as const;
	const flag = { type: "boolean" } as const;
	const { values } = parseOptions({
		args,
		options: {
			...{ port: text, webhook: text, db: text, for: text },
			...{ "no-demo": flag, plain: flag, help: { ...flag, short: "h" } },
		},
	});
	const { webhook, db } = values;
	if (db === "") throw new UsageError("--db takes a file");
	return {
		port: values.port === undefined ? undefined : toPort(values.port),
		webhook: webhook === undefined ? undefined : toUrl(webhook),
		file: db ?? fileURLToPath(new URL("../../.outbox/outbox.db", import.meta.url)),
		duration: values.for === undefined ? Infinity : toSeconds(values.for) * 1000,
		// A real webhook gets no demo messages.
		isDemo: webhook === undefined && !values["no-demo"],
		isPlain: values.plain ?? false,
		isHelp: values.help ?? false,
	};
}

function toPort(text: string): number {
	if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
	throw new UsageError(`--port takes a number from 0 to 65535, not ${JSON.stringify(text)}`);
}

function toSeconds(text: string): number {
	if (Number(text) > 0) return Number(text);
	throw new UsageError(`--for takes a number of seconds above 0, not ${JSON.stringify(text)}`);
}

function toUrl(text: string): string {
	const url = URL.canParse(text) ? new URL(text) : undefined;
	if (url !== undefined && /^https?:$/.test(url.protocol) && !url.username && !url.password) return url.href;
	throw new UsageError(`--webhook takes an http or https URL without a user name, not ${JSON.stringify(text)}`);
}
