/** The output: a live screen in a terminal, a line for each event in a pipe or in CI. */

import process from "node:process";
import { poll } from "../../mod.ts";
import { LiveScreen } from "../shared/live-screen.ts";
import { output } from "../shared/process.ts";
import type { ServerStatus } from "./api.ts";
import type { OnEvent } from "./service.ts";
import { renderStatus } from "./table.ts";

/** Constant facts. */
export interface Facts {
	/** Of the page. */
	readonly url: string;
	readonly file: string;
	readonly hasOwnWebhook: boolean;
	readonly isDemo: boolean;
}

export interface View {
	/** Begins to show. */
	open(facts: Facts, source: Source): Promise<void>;
	readonly note: (kind: Parameters<OnEvent>[0], text: string) => void;
	close(): Promise<void>;
}

/** The source of the shown data. */
export interface Source {
	status(): Promise<ServerStatus>;
	subscribe(listener: () => void): () => void;
}

/** Plain lines. */
export class Log implements View {
	async open({ url, file, isDemo }: Facts, source: Source): Promise<void> {
		const { webhook, counts } = await source.status();
		output(`Listening on ${url}\n`);
		output(`Delivering to ${webhook}\n`);
		output(`Stored in ${file}: ${counts.waiting + counts.running} to be delivered, ${counts.dead} dead\n`);
		if (isDemo) output("Sending demo messages (not with --no-demo)\n");
	}

	readonly note = (kind: string, text: string): void => {
		output(`${new Date().toTimeString().slice(0, 8)} ${kind} ${text}\n`);
	};

	async close(): Promise<void> {}
}

/** The number of remembered events. */
const remembered = 50;

export class Screen implements View {
	readonly #events: string[] = [];
	#screen: LiveScreen | undefined;
	#refresh = async (): Promise<void> => {};

	async open(facts: Facts, source: Source): Promise<void> {
		let status = await source.status();
		const screen = this.#screen = new LiveScreen((columns, rows, isLast) =>
			renderStatus(
				{ ...facts, status, events: isLast ? [] : this.#events, pid: isLast ? undefined : process.pid },
				columns,
				rows,
			)
		);
		let isStale = true;
		this.#refresh = async () => {
			if (!isStale) return;
			isStale = false;
			status = await source.status();
			screen.changed();
		};
		screen.closed.addEventListener("abort", source.subscribe(() => isStale = true));
		screen.open();
		screen.changed();
		// The store is asked at most four times a second, and every second, for the ages, if nothing happens.
		let round = 0;
		const refresh = async () => {
			isStale ||= ++round % 4 === 0;
			await this.#refresh();
		};
		poll(refresh, { interval: 250 }).attach(screen.closed);
	}

	readonly note = (kind: string, text: string): void => {
		this.#events.push(`${new Date().toTimeString().slice(0, 8)} ${kind.padEnd(9)} ${text}`);
		if (this.#events.length > remembered) this.#events.shift();
	};

	/** The last lines show the end. */
	async close(): Promise<void> {
		await this.#refresh().catch(() => {});
		this.#screen?.close();
	}
}
