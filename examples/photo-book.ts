/**
 * Makes photo books: a page for each picture, any of which may fail alone, then an invoice, which is a job of its own, and then
 * the print: `node examples/photo-book.ts`, `deno run -A examples/photo-book.ts`, `bun examples/photo-book.ts`. The printer
 * refuses one of the books, and everything that was made for it is undone.
 *
 *     --diagram    # prints the job as a Mermaid diagram
 *
 * What the library does here:
 *
 * - `each` makes a child of the job for each picture, with its own attempts. Three of a book run at once, in whichever process;
 * - the broken picture is one that `tolerate` allows: its page is missing, and the book is printed all the same;
 * - `into` makes a number of the pages, so that their results need not be in memory, or in one payload, together;
 * - `job` makes the invoice, which has steps and reverts of its own;
 * - when the printer refuses the book, the invoice is voided, and the pages are deleted.
 *
 * The store is in memory. With `sqliteStore(db)` or `postgresStore(…)`, the books survive the process, and several share the work.
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { describeJob, job, memoryStore, Processor, sleep } from "../mod.ts"; // elsewhere: from "upkeep"

interface Book {
	readonly title: string;
	readonly pictures: readonly string[];
}

const { values } = parseArgs({ options: { diagram: { type: "boolean", default: false } } });
const beganAt = performance.now();

/** A service of others: each request takes a moment. */
async function request(title: string, text: string, signal: AbortSignal): Promise<void> {
	await sleep(20, { signal });
	say(title, text);
}

const invoice = job<{ title: string; pages: number }>("invoice")
	.step("number", {
		run: async ({ input, signal }) => {
			await request(input.title, "books an invoice", signal);
			return `invoice over ${input.pages} €`;
		},
		revert: ({ input, result, signal }) => request(input.title, `voids the ${result}`, signal),
	})
	.step("mail", { run: ({ input, results, signal }) => request(input.title, `mails the ${results.number}`, signal) });

const photoBook = job<Book>("photo book")
	.each("pages", {
		items: ({ input }) => input.pictures.map((picture) => ({ picture, title: input.title })),
		run: async ({ item: { picture, title }, attempt, signal }) => {
			if (picture === "blur") throw new Error(`no picture, attempt ${attempt}`);
			await request(title, `makes the page of ${picture}`, signal);
			return 1;
		},
		revert: ({ item: { picture, title }, signal }) => request(title, `deletes the page of ${picture}`, signal),
		into: (pages: number = 0, page) => pages + page,
		attempts: 2,
		backoff: 10,
		atOnce: 3,
		tolerate: 1,
	})
	.job("invoice", invoice, ({ input, results }) => ({ title: input.title, pages: results.pages }))
	.step("print", {
		async run({ input, results, signal }) {
			if (input.title === "Atlantis") throw new Error("the printer has no such paper");
			await request(input.title, "prints", signal);
			return `${results.pages} pages`;
		},
	});

const processor = new Processor({ store: memoryStore(), jobs: [photoBook] });

async function main(): Promise<void> {
	void processor.run();
	const books: Book[] = [
		{ title: "Rome", pictures: ["forum", "blur", "tiber", "garden"] },
		{ title: "Atlantis", pictures: ["beach", "reef"] },
	];
	await Promise.all(books.map(async (book) => {
		const { id } = await processor.add(photoBook, book);
		const { status, value, error } = await processor.wait(id);
		say(book.title, `${status}: ${value ?? error?.message}`);
		for await (const { input, status } of processor.list({ parent: id, job: "photo book" })) {
			const { item, index } = input as { item: { picture: string }; index: number };
			say(book.title, `  page ${index + 1}, ${item.picture}: ${status}`);
		}
	}));
	await processor.stop();
}

function say(title: string, text: string): void {
	console.log(`${((performance.now() - beganAt) / 1_000).toFixed(1)} s  ${title.padEnd(8)}  ${text}`);
}

if (values.diagram) process.stdout.write(describeJob(photoBook).mermaid);
else await main();
