/**
 * Checks the file of a database, which may be deleted or replaced while a connection has it open. SQLite would
 * continue to write, and lose all writes with the process.
 *
 * @module
 */

/** The used part of the stats of `node:fs`. */
interface Stats {
	readonly ino: number;
	readonly dev: number;
}

interface FileSystem {
	statSync(path: string, options: { throwIfNoEntry: false }): Stats | undefined;
}

/** Checks whether a path still refers to the same file. */
export class DatabaseFile {
	readonly path: string;
	readonly #system: FileSystem | undefined = fileSystem();
	readonly #first: Stats | undefined;

	constructor(path: string) {
		this.path = path;
		this.#first = this.#look();
	}

	/** Whether the file was deleted or replaced. `false` if this cannot be determined. */
	get isGone(): boolean {
		const first = this.#first;
		if (first === undefined) return false;
		try {
			const { ino, dev } = this.#system!.statSync(this.path, { throwIfNoEntry: false }) ?? {};
			return ino !== first.ino || dev !== first.dev;
		} catch {
			return false; // an unreadable folder says nothing about the file
		}
	}

	#look(): Stats | undefined {
		try {
			return this.#system?.statSync(this.path, { throwIfNoEntry: false });
		} catch {
			return undefined;
		}
	}
}

/** All platforms of this store have it. Not imported, so that bundlers do not resolve it. */
function fileSystem(): FileSystem | undefined {
	type Modules = { getBuiltinModule?(name: string): FileSystem | undefined };
	return (globalThis as { process?: Modules }).process?.getBuiltinModule?.("node:fs");
}
