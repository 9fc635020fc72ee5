/** The output: a live screen in a terminal, a line each second in a pipe or in CI. */

import type { Counts } from "../../mod.ts";
import { LiveScreen } from "../shared/live-screen.ts";
import { isLive, output } from "../shared/process.ts";
import { cut, paint } from "../shared/terminal.ts";
import { count } from "../shared/words.ts";
import type { Crew, Member } from "./crew.ts";

/** The current state. */
export interface Report {
	readonly counts: Counts;
	/** The number of deliveries of each worker. */
	readonly rows: readonly { readonly worker: string; readonly count: number }[];
	readonly crew: Crew;
	/** The number of parcels to deliver. */
	readonly parcels: number;
}

export class View {
	readonly #screen: LiveScreen | undefined;
	readonly #inspector: string;
	readonly #startedAt = performance.now();
	#report: Report | undefined;
	#shownAt = -Infinity;

	/** @param inspector the address of the inspector */
	constructor(inspector: string) {
		this.#inspector = inspector;
		if (!isLive) {
			output(`Inspector: ${inspector}\n`);
			return;
		}
		this.#screen = new LiveScreen((columns, rows) => this.#render(columns, rows));
		this.#screen.open();
	}

	show(report: Report): void {
		this.#report = report;
		if (this.#screen !== undefined) return this.#screen.changed();
		const now = performance.now();
		if (now - this.#shownAt < 1_000) return;
		this.#shownAt = now;
		output(`${this.#summary(report)}\n`);
	}

	close(): void {
		this.#screen?.close();
	}

	#summary({ counts, rows, crew }: Report): string {
		const seconds = (performance.now() - this.#startedAt) / 1000;
		const delivered = rows.reduce((sum, { count }) => sum + count, 0);
		const waiting = `${counts.waiting} waiting, ${counts.running} under way, ${delivered} delivered`;
		const rate = `${Math.round(delivered / seconds)} a second`;
		return `${seconds.toFixed(0).padStart(3)} s  ${waiting}, ${rate}; ${count(crew.working.length, "worker")}, ${
			count(crew.kills, "kill")
		}`;
	}

	#render(columns: number, rows: number): string[] {
		const report = this.#report;
		if (report === undefined) return ["The workers are starting …"];
		const delivered = new Map(report.rows.map(({ worker, count }) => [worker, count]));
		const most = Math.max(1, ...delivered.values());
		const bar = (member: Member) => {
			const number = delivered.get(member.name) ?? 0;
			const width = Math.max(0, columns - 45);
			const text = `${member.name.padEnd(11)} ${String(member.child.pid).padStart(8)}  ${member.state.padEnd(11)}`;
			const line = cut(
				`${text}${String(number).padStart(7)} ${"▇".repeat(Math.round(number / most * width))}`,
				columns,
			);
			return paint(member.state === "works" ? "green" : "dim", line);
		};
		const shown = report.crew.members.slice(-Math.max(1, rows - 5));
		return [
			paint("bold", cut(`upkeep: a fleet on Postgres, ${report.parcels} parcels`, columns)),
			cut(this.#summary(report), columns),
			cut(`Inspector: ${this.#inspector}`, columns),
			"",
			...shown.map(bar),
		];
	}
}
