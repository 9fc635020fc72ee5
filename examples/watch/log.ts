/** The view in a pipe or in CI: a line for each event. */

import { output } from "../shared/process.ts";
import type { Kind, View } from "./view.ts";

export class Log implements View {
	note(kind: Kind, text: string): void {
		output(`${new Date().toTimeString().slice(0, 8)} ${kind} ${text}\n`);
	}

	close(): void {}
}
