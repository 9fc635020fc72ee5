// fast-check for all tests, with the seed of the suite. The message of a failure explains how to reproduce it.
import fc from "fast-check";
import { seed } from "./seed.ts";

fc.configureGlobal({
	seed,
	reporter: (details) => {
		if (!details.failed) return;
		const again = `See it again with UPKEEP_SEED=${details.seed}`;
		throw new Error(`${fc.defaultReportMessage(details)}\n${again}`, { cause: details.errorInstance });
	},
});

export default fc;
