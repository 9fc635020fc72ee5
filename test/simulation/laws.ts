// Laws that the engine does not keep yet are switched off here, each until its mend.

/** Whether calls come late or never, lines are cut, and processes freeze. */
export const hasLongFaults = false;

export const laws = {
	/** `run` resolves when its grace is over, whatever the store does. */
	stop: false,
	/** A signal aborts at the latest when the lease may be over. */
	expiry: false,
	/** Two runs of one task overlap only if the first one ignores its signal, or its process was frozen. */
	overlap: false,
	/** A process that lives takes no crash of its own. */
	crashes: false,
	/** A process that has stopped, or drained, holds nothing. */
	givesBack: false,
};
