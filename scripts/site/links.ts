// Finds links of written pages that lead to no page, file or heading of the site.
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** What the pages of a folder contain. */
export interface Links {
	pages: number;
	links: number;
	faults: string[];
}

/** Reads all pages of the folder and follows each relative link. */
export function checkLinks(folder: string): Links {
	const pages: string[] = globSync("**/*.html", { cwd: folder });
	const anchors: Map<string, Set<string>> = new Map();
	const targets = new Map(pages.map((page) => {
		const text: string = readFileSync(join(folder, page), "utf8");
		anchors.set(page, new Set(Array.from(text.matchAll(/ id="([^"]+)"/g), ([, id]) => id!)));
		return [page, new Set(Array.from(text.matchAll(/ (?:href|src)="([^"]+)"/g), ([, target]) => target!))];
	}));
	const faults: string[] = [];
	let links = 0;
	for (const [page, found] of targets) {
		for (const target of found) {
			if (/^[a-z]+:/.test(target)) continue;
			links++;
			if (!leadsSomewhere(folder, page, target, anchors)) faults.push(`${page}: "${target}" leads nowhere`);
		}
	}
	return { pages: pages.length, links, faults };
}

function leadsSomewhere(folder: string, page: string, target: string, anchors: Map<string, Set<string>>): boolean {
	const [path, anchor] = target.split("#").map(decodeURIComponent) as [string, string | undefined];
	const file: string = path === "" ? page : relative(folder, join(folder, dirname(page), path));
	const absolute: string = join(folder, file);
	if (!existsSync(absolute) || !statSync(absolute).isFile()) return false;
	const ids: Set<string> | undefined = anchors.get(file);
	return anchor === undefined || anchor === "" || ids === undefined || ids.has(anchor);
}
