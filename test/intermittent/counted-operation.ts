// Operations that count their runs, for tests of Intermittent and IntermittentMap.
import type { IntermittentStop } from "../../mod.ts";

/** Start functions, each for a given stop function. */
export const starts: Record<string, (stop: () => unknown) => unknown> = {
	"gives nothing but its stop": (stop) => stop,
	"is async": (stop) => Promise.resolve(stop),
	"takes some microtasks": async (stop) => {
		for (let i = 0; i < 8; i++) await undefined;
		return { value: undefined, stop };
	},
	"fails": () => {
		throw new Error("no start");
	},
	"fails after some microtasks": async () => {
		for (let i = 0; i < 4; i++) await undefined;
		throw new Error("no start");
	},
};
/** Stop functions. */
export const stops: Record<string, () => unknown> = {
	"returns": () => {},
	"takes some microtasks": async () => {
		for (let i = 0; i < 6; i++) await undefined;
	},
	"fails": () => Promise.reject(new Error("no stop")),
};

/** An operation with the number of its runs. */
export interface CountedOperation {
	readonly counted: { running: number; most: number; starts: number };
	readonly start: (signal: AbortSignal) => PromiseLike<IntermittentStop>;
}

/** Creates an operation that detects concurrent runs. */
export function makeCounted(
	start: (stop: () => unknown) => unknown,
	stop: () => unknown,
	enter: () => void = () => {},
): CountedOperation {
	const counted = { running: 0, most: 0, starts: 0 };
	const isOver = () => void counted.running--;
	return {
		counted,
		start: (signal: AbortSignal): PromiseLike<IntermittentStop> => {
			counted.starts++;
			counted.most = Math.max(counted.most, ++counted.running);
			signal.addEventListener("abort", enter);
			enter();
			const started = () =>
				start(() => {
					enter();
					const stopped = stop();
					if (stopped === undefined) return isOver();
					return (stopped as Promise<void>).finally(isOver);
				});
			return new Promise<IntermittentStop>((resolve) => resolve(started() as IntermittentStop)).catch((error) => {
				isOver();
				throw error;
			});
		},
	};
}
