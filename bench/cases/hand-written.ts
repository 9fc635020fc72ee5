// The usual hand-written loop. Like the others, it retries, ends early if its caller aborts, and has a timeout per
// attempt.

export interface HandWrittenContext {
	readonly signal: AbortSignal;
}

export async function handWritten<T>(
	task: (context: HandWrittenContext) => Promise<T>,
	signal: AbortSignal,
	timeout: number = Infinity,
): Promise<T> {
	for (let attempt = 1;; attempt++) {
		signal.throwIfAborted();
		const controller = new AbortController();
		const abort = (): void => controller.abort(signal.reason);
		const expire = (): void => controller.abort(new DOMException("Timed out", "TimeoutError"));
		signal.addEventListener("abort", abort);
		const timer = timeout < Infinity ? setTimeout(expire, timeout) : undefined;
		try {
			return await task({ signal: controller.signal });
		} catch (error) {
			if (signal.aborted || attempt === 3) throw error;
		} finally {
			clearTimeout(timer);
			signal.removeEventListener("abort", abort);
		}
	}
}
