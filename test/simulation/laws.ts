// Laws that the engine does not keep yet are switched off here, each until its mend.

/** Whether calls come late or never, lines are cut, and processes freeze. */
export const hasLongFaults = true;

export const laws = {
	/** `run` resolves when its grace is over, whatever the store does. */
	stop: true,
	/** A signal aborts at the latest when the lease may be over. */
	expiry: true,
	/** Two runs of one task overlap only if the first one ignores its signal, or its process was frozen. */
	overlap: true,
	/** A process that lives takes no crash of its own. */
	crashes: true,
	/** A process that has stopped, or drained, holds nothing. */
	givesBack: true,
};
