// A law that the engine does not keep yet can be disabled here until it is fixed.

/** Whether calls are late or lost, lines are cut, and processes freeze. */
export const hasLongFaults = true;

export const laws = {
	/** `run` resolves at the end of its grace period, even if the store fails. */
	stop: true,
	/** A signal aborts at the latest when the lease may have ended. */
	expiry: true,
	/** Two runs of one task only overlap if the first one ignores its signal, or its process was frozen. */
	overlap: true,
	/** A live process does not cause a crash. */
	crashes: true,
	/** A process that has stopped or drained holds no claims. */
	givesBack: true,
};
