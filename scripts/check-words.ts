// Checks that no file contains a machine's folders or a registry's host, no source contains unfinished notes, and no
// test uses a random seed.
import { readFileSync, statSync } from "node:fs";
import { execute } from "./command.ts";

interface Rule {
	files: RegExp;
	words: RegExp;
}

// Written so that the rules do not match this file.
const rules: Rule[] = [
	{ files: /./, words: /\/(?:wor[k]|roo[t])\/|registry\.[a-z]+js|\bhttps?:\/\/[\w.-]*registr[y]/ },
	{ files: /^(?:mod\.ts$|(?:src|test|scripts)\/)/, words: /\b(?:TO[D]O|FIX[M]E|XX[X])\b|(?<!IDBKeyRange)\.only\(/ },
	{ files: /^test\/(?!property\.ts$)/, words: /["']fast-check["']/ }, // test/property.ts sets its seed
];

export async function checkWords(): Promise<void> {
	const listed: string = await execute("git", ["ls-files", "--cached", "--others", "--exclude-standard"]);
	const faults: string[] = listed.trim().split("\n").filter(isFile).flatMap(faultsOf);
	if (faults.length > 0) throw new Error(faults.join("\n"));
}

function isFile(path: string): boolean {
	return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false; // one that git lists may be deleted
}

function faultsOf(file: string): string[] {
	const applicable: Rule[] = rules.filter(({ files }: Rule) => files.test(file));
	return readFileSync(file, "utf8").split("\n").flatMap((line: string, index: number) =>
		applicable.filter(({ words }: Rule) => words.test(line)).map(() =>
			`${file}:${index + 1}: ${line.trim().slice(0, 100)}`
		)
	);
}
