// A reentrant call from a callback reaches a class in the middle of an operation. Example of a test:
//
//     await atEachCall(async (reentry) => {
//     	const pool = new Pool({ max: 1 });
//     	reentry.act = () => pool.stop();
//     	pool.subscribe(reentry.enter);
//     	…
//     });
//
// A test calls `enter` in each callback. In the first trial the first of these calls acts, in the second the second …

import { isPage } from "./support.ts";

/** Each call needs its own trial. In pages, where a macrotask is slow, only some calls are tried. */
const step = isPage ? 7 : 1;

/** Makes one reentrant call. */
export class Reentry {
	/** The number of callback calls. */
	calls = 0;
	/** The action of the chosen call. */
	act: () => unknown = () => {};
	readonly #at: number;

	constructor(at: number) {
		this.#at = at;
	}

	readonly enter = (): void => {
		if (this.calls++ === this.#at) this.act();
	};
}

/** Runs the trial for each call of `enter`. An error names the call at which it failed. */
export async function atEachCall(trial: (reentry: Reentry) => unknown, most = 200): Promise<void> {
	for (let at = 0; at < most; at += step) {
		const reentry = new Reentry(at);
		try {
			await trial(reentry);
		} catch (error) {
			throw new Error(`With the call ${at} re-entering: ${(error as Error)?.message}`, { cause: error });
		}
		if (reentry.calls <= at) {
			if (at === 0) throw new Error("No callback was called");
			return;
		}
	}
	throw new Error(`There are more than ${most} calls`);
}
