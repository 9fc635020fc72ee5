/**
 * Lets one at a time append to the log of a job: while a step stores its result in a transaction of its own, the results of
 * others wait, because the place of that result in the log would be uncertain otherwise.
 *
 * @module
 */

export class LogGate {
	/** Resolves when the transaction is over; `undefined` if there is none. */
	shut: Promise<void> | undefined;
	/** Why nothing may be appended anymore: for example, it is not known whether a transaction was committed. */
	broken: { readonly reason: unknown } | undefined;

	/** Returns the function that opens it again. */
	close(): () => void {
		let open!: () => void;
		this.shut = new Promise((resolve) => {
			open = () => {
				this.shut = undefined;
				resolve();
			};
		});
		return open;
	}

	/** Whether one may not append now. */
	get isWaiting(): boolean {
		return this.shut !== undefined || this.broken !== undefined;
	}

	/** Waits until one may append. Rejects if that will not be. */
	async pass(): Promise<void> {
		while (this.shut !== undefined) await this.shut;
		this.check();
	}

	check(): void {
		if (this.broken !== undefined) throw this.broken.reason;
	}
}
