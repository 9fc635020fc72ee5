// An in-memory file system of a few megabytes, which a test can fill.
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
	/** An empty folder on the disk that all users can access. */
	readonly path: string;
	/** Fills the disk, except for some bytes. */
	fill(left?: number): void;
	/** Frees the filled space. */
	empty(): void;
	close(): void;
}

/** Returns the reason if no small disk is possible: only root on Linux can mount one, and most containers forbid it. */
export function lackOfSmallDisk(): string | undefined {
	if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root on Linux can mount a small disk";
	try {
		openSmallDisk(1).close();
	} catch (error) {
		return (error as Error).message;
	}
}

/**
 * Mounts a small disk. Call it in a test: if a filter skips all tests of a file, its hooks do not run, so that the
 * disk would not be closed.
 *
 * @param size the size in megabytes
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
