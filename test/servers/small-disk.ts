// A file system of a few megabytes, in memory, so that a test can fill it.
import { spawnSync } from "node:child_process";
import {
	chmodSync,
	closeSync,
	fstatSync,
	ftruncateSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	rmSync,
	writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

export interface SmallDisk {
	/** An empty folder on it, which anybody may have. */
	readonly path: string;
	/** Uses up the space that is left, except for some bytes. */
	fill(left?: number): void;
	/** Gives back what was filled. */
	empty(): void;
	close(): void;
}

/** Why there can be none, or undefined: only root on Linux may mount one, and in most containers nobody may. */
export function lackOfSmallDisk(): string | undefined {
	if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root on Linux can mount a small disk";
	try {
		openSmallDisk(1).close();
	} catch (error) {
		return (error as Error).message;
	}
}

/**
 * Makes one. Not before a test needs it: where a filter leaves out all tests of a file, none of its hooks closes anything.
 *
 * @param size in megabytes
 */
export function openSmallDisk(size: number): SmallDisk {
	const disk = mkdtempSync(join(tmpdir(), "upkeep-disk-"));
	const { error, status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}m`, "tmpfs", disk]);
	if (status !== 0) {
		rmSync(disk, { recursive: true });
		throw new Error(`no small disk can be mounted: ${error ?? String(stderr).trim()}`);
	}
	chmodSync(disk, 0o777);
	const path = join(disk, "data");
	mkdirSync(path);
	chmodSync(path, 0o777);
	const filler = join(disk, "filler");
	return {
		path,
		fill: (left = 0) => fill(filler, left),
		empty: () => rmSync(filler, { force: true }),
		close() {
			spawnSync("umount", ["--lazy", disk]);
			rmSync(disk, { recursive: true });
		},
	};
}

function fill(path: string, left: number): void {
	const file = openSync(path, "a");
	const page = new Uint8Array(4_096);
	let { size } = fstatSync(file);
	try {
		for (;;) size += writeSync(file, page);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
		ftruncateSync(file, Math.max(0, size - left));
	} finally {
		closeSync(file);
	}
}
