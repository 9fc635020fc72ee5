/**
 * The worker, as its turns see it.
 *
 * @module
 */

/** The interface of the turns to their worker. */
export interface TurnsOwner {
	/** Whether tasks may begin, and whether others may be claimed, too. */
	readonly isWorking: boolean;
	readonly isOpen: boolean;
	/** Calls {@link Turns.pump} soon, in the right async context. */
	poke(): void;
	/** Calls {@link Turns.turn} in a new macrotask, in the right async context. */
	turnSoon(): void;
	/** Calls {@link Claims.tick} in the right async context. */
	tick(): void;
	/** Pokes after this many milliseconds, and at once if there are none. */
	sleep(duration: number): void;
	/** The worker cannot continue. */
	onFailure(error: unknown): void;
	/** No task is due, no task runs, and all outcomes are stored. */
	onQuiet(): void;
	/** A task or call has ended. */
	onProgress(): void;
	onChange(): void;
}
