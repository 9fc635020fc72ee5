/**
 * The common part of the SQL stores: tasks and outcomes as table columns, keys, ids, text, and watchers. Stores over records share
 * theirs in `records/`.
 *
 * @module
 */

export { type Ending, endingOf, isPlain, isRemoval, seqOf } from "./outcome.ts";
export { type KindTasks, showSurvey, type StoredGate, type SurveyRow } from "./survey.ts";
export {
	countsOf,
	damaged,
	formsOf,
	idOf,
	mostRows,
	seqIn,
	seqOfKey,
	showTask,
	stateOf,
	type TaskRow,
} from "./task.ts";
export { decodeText, encodeText } from "./text.ts";
export { tooNew } from "./version.ts";
export { addWatcher, reportTo, wake, wakeAll, type Watchers } from "./watchers.ts";
