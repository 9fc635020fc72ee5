/** The table as lines of text. */

import type { GroupTask } from "../../mod.ts";
import { type Colour, cut, paint, shorten } from "../shared/terminal.ts";
import { count, inSeconds } from "../shared/words.ts";
import type { Config } from "./config.ts";
import type { History, Watched } from "./view.ts";

/** What stands below the table. */
export interface Footer {
	readonly file: string;
	readonly rejected: string;
}

const headings = ["URL", "state", "try", "next", "last result", "ok", "fail"];
/** Of the columns between the first and the last result, which share what is left. */
const fixedWidths = { state: 7, next: 6, ok: 4, fail: 4 };
const colours: Record<string, Colour> = { up: "green", down: "red", rejected: "red", delay: "yellow", running: "cyan" };

/** Lines of at most `width` columns, and at most `height` of them. */
export function renderTable(watched: Watched, footer: Footer | undefined, width: number, height: number): string[] {
	const { config = { urls: [], interval: 0, retry: {} } } = watched;
	const { urls } = config;
	const below = footer === undefined ? [] : ["", ...toFooter(footer, width)];
	const room = Math.max(1, height - 3 - below.length);
	const shown = urls.length <= room ? urls : urls.slice(0, room - 1);
	const widths = toWidths(config, width);
	const rows = [headings, ...shown.map((url) => toCells(url, watched, config))].map((cells) => toLine(cells, widths));
	const more = shown.length < urls.length ? [cut(`… and ${urls.length - shown.length} more`, width)] : [];
	return [cut(toTitle(watched, config), width), "", ...rows, ...more, ...below].slice(0, height);
}

function toTitle({ history, network, startedAt }: Watched, { urls, interval }: Config): string {
	const outcomes = urls.map((url) => history.get(url)?.isUp);
	const [up, down] = [true, false].map((isUp) => outcomes.filter((outcome) => outcome === isUp).length);
	const time = inSeconds(Math.round((Date.now() - startedAt) / 1000) * 1000);
	const what = `${count(urls.length, "URL")} every ${inSeconds(interval)}`;
	return `${what}: ${up} up, ${down} down. Network ${network.state}. ${time}`;
}

function toFooter({ file, rejected }: Footer, width: number): string[] {
	const lines = [file, rejected === "" ? "" : `rejected: ${rejected}`, "Ctrl-C ends it"].filter((line) => line !== "");
	return lines.map((line) => paint(colours[line.split(":")[0]!], cut(line, width)));
}

function toCells(url: string, { group, history }: Watched, { retry }: Config): string[] {
	const task = group.get(url);
	const { successes = 0, failures = 0, last = "", isUp, nextCheckAt } = history.get(url) ?? {} as Partial<History>;
	const next = task?.nextAttemptAt ?? nextCheckAt;
	return [
		nameOf(url),
		toState(task, isUp),
		task?.attempt ? `${task.attempt}/${retry.attempts}`.replace("Infinity", "∞") : "",
		next === undefined ? "" : inSeconds(Math.max(0, Math.ceil((next - Date.now()) / 1000)) * 1000),
		last,
		String(successes),
		String(failures),
	];
}

/** The task's own state, as long as it has one that tells something. */
function toState(task: GroupTask | undefined, isUp: boolean | undefined): string {
	if (task !== undefined && task.state !== "stopped") return task.state;
	return isUp === undefined ? "" : isUp ? "up" : "down";
}

/** In a narrow terminal the counts go first, then the times; 0 is a column that is not there. */
function toWidths({ urls, retry }: Config, width: number): number[] {
	const { state, next, ok, fail } = fixedWidths;
	const attempt = `${retry.attempts}`.replace("Infinity", "1000").length * 2 + 1;
	const fixed = [state, width < 50 ? 0 : attempt, width < 50 ? 0 : next, width < 70 ? 0 : ok, width < 70 ? 0 : fail];
	const rest = width - 2 - fixed.reduce((sum, column) => sum + (column && column + 2), 0);
	const longest = Math.max(12, ...urls.map((url) => nameOf(url).length));
	const first = Math.min(longest, Math.max(rest - 26, Math.floor(rest / 2)));
	return [first, ...fixed.slice(0, 3), Math.min(32, rest - first), ...fixed.slice(3)];
}

function toLine(cells: string[], widths: number[]): string {
	const fitted = cells.map((cell, index) => {
		const width = Math.max(0, widths[index]!);
		const text = index === 0 ? shorten(cell, width) : cut(cell, width);
		return index > 4 ? text.padStart(width) : paint(colours[text], text.padEnd(width));
	});
	return fitted.filter((_, index) => widths[index]! > 0).join("  ").trimEnd();
}

function nameOf(url: string): string {
	return url.replace(/^https?:\/\//, "");
}
