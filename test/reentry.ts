// What calls back from inside of a callback finds a class in the middle of something. A test that uses this looks so:
//
//     await atEachCall(async (reentry) => {
//     	const pool = new Pool({ max: 1 });
//     	reentry.act = () => pool.stop();
//     	pool.subscribe(reentry.enter);
//     	…
//     });
//
// `enter` is put into every callback there is. In the first trial its first call acts, in the second one its second …

import { isPage } from "./support.ts";

/** Each call takes a trial of its own; pages, where a macrotask is slow, try some. */
const step = isPage ? 7 : 1;

/** Calls back once. */
export class Reentry {
	/** How often a callback was called. */
	calls = 0;
	/** What the chosen call does. */
	act: () => unknown = () => {};
	readonly #at: number;

	constructor(at: number) {
		this.#at = at;
	}

	readonly enter = (): void => {
		if (this.calls++ === this.#at) this.act();
	};
}

/** Runs the trial for each call of `enter` that there is, and says at which it failed. */
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
