/** The command line. */

import { fileURLToPath } from "node:url";
import { parseOptions, UsageError } from "../shared/arguments.ts";

export const usage =
	`An outbox: accepts JSON messages, keeps them in an SQLite file, and delivers each to a webhook until it is delivered.

  outbox.ts [options]

  --port <n>           default: the one of the last time if it is free, else any free one
  --webhook <url>      gets each message as a POST; default: a flaky endpoint of its own, with messages to try it on
  --db <file>          default: .outbox/outbox.db in this project
  --for <seconds>      end after this time
  --no-demo            only messages that somebody else sends
  --plain              lines instead of the live view, as in a pipe or where CI is set
  --help

Messages come as JSON lines on standard input, from the page that is at the address it prints, and over HTTP:

  curl -d '{ "to": "ada", "text": "hello" }' -H 'Idempotency-Key: hello-1' http://127.0.0.1:<port>/messages
  curl http://127.0.0.1:<port>/messages                            what is waiting, dead, and delivered
  curl -X POST http://127.0.0.1:<port>/messages/hello-1/retry      at once; a dead one anew
  curl -X DELETE http://127.0.0.1:<port>/messages/hello-1

A message with the id (the Idempotency-Key, or its own "id") of one that is stored is accepted and not stored again.
The id goes to the webhook as its Idempotency-Key. What it answers with 4xx, other than 408, 425 and 429, is dead.
Kill it with SIGKILL and start it again: it goes on. Any number of these processes can work on one file.
Exit codes: 0, also after Ctrl-C; 1 if the file or the port cannot be had; 2 after bad arguments; 130 after a second Ctrl-C.
`;

export interface Options {
	/** `undefined`: any. */
	readonly port: number | undefined;
	/** `undefined`: one of its own. */
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
		// Nobody wants made-up messages at a webhook that is real.
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
