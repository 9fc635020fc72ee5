/**
 * The file of a database, which may be deleted or replaced while a connection has it open. SQLite goes on writing then,
 * and what it writes is gone with the process.
 *
 * @module
 */

/** What `node:fs` says of a file, as far as it is needed here. */
interface Stats {
	readonly ino: number;
	readonly dev: number;
}

interface FileSystem {
	statSync(path: string, options: { throwIfNoEntry: false }): Stats | undefined;
}

/** Looks whether a file is still the one that it was. */
export class DatabaseFile {
	readonly path: string;
	readonly #system: FileSystem | undefined = fileSystem();
	readonly #first: Stats | undefined;

	constructor(path: string) {
		this.path = path;
		this.#first = this.#look();
	}

	/** Whether it was deleted, or there is another one in its place. `false` where nobody can know. */
	get isGone(): boolean {
		const first = this.#first;
		if (first === undefined) return false;
		try {
			const { ino, dev } = this.#system!.statSync(this.path, { throwIfNoEntry: false }) ?? {};
			return ino !== first.ino || dev !== first.dev;
		} catch {
			return false; // a folder that cannot be read says nothing of the file
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

/** All platforms of this store have one, and bundlers must not look for it. */
function fileSystem(): FileSystem | undefined {
	type Modules = { getBuiltinModule?(name: string): FileSystem | undefined };
	return (globalThis as { process?: Modules }).process?.getBuiltinModule?.("node:fs");
}
