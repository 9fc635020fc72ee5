/**
 * Checks of what comes from a user interface, perhaps over HTTP: every error names the member.
 *
 * @module
 */

import {
	type InspectionAction,
	inspectionActions,
	type InspectionActionType,
	type InspectionQuery,
	type InspectionSource,
	inspectionSources,
} from "./records.ts";
import { taskStates } from "../basket/store.ts";
import { check, checkWord, refuse } from "../platform/check.ts";
import { checkName, checkNames } from "../platform/name.ts";

/** A query with its defaults. */
export interface CheckedQuery extends InspectionQuery {
	readonly order: "oldest" | "newest";
	readonly limit: number;
}

const queryMembers = [
	"source",
	"state",
	"status",
	"kind",
	"lane",
	"prefix",
	"text",
	"parent",
	"order",
	"limit",
	"after",
];

/** The members of each action besides its `type`. */
const actionMembers: Readonly<Record<InspectionActionType, readonly string[]>> = {
	retry: ["source", "id", "from"],
	runNow: ["source", "id"],
	hold: ["source", "id"],
	release: ["source", "id"],
	delete: ["source", "id", "halfDone"],
	retryAll: ["source", "kind", "lane", "prefix"],
	pause: ["source", "kind"],
	resume: ["source", "kind"],
	cancel: ["id"],
	signal: ["id", "name", "value"],
};

/** @throws {TypeError | RangeError} that names the member */
export function checkInspectionQuery(query: InspectionQuery): CheckedQuery {
	refuseOthers("query", check("query", query, "object"), queryMembers);
	const { source, state, status, kind, lane, prefix, text, parent, order = "newest", limit = 50, after } = query;
	checkInspectionSource(source);
	if (state !== undefined) checkWord("state", state, taskStates);
	if (status !== undefined) checkWord("status", status, ["completed", "reverted", "failed"]);
	checkNames({ kind, lane, prefix, parent });
	if (text !== undefined) check("text", text, "string", isShort(text), "a text of at most 255 characters");
	if (after !== undefined) check("after", after, "string");
	checkWord("order", order, ["oldest", "newest"]);
	check("limit", limit, "number", Number.isInteger(limit) && limit > 0 && limit <= 100, "a whole number from 1 to 100");
	return { ...query, order, limit };
}

/** @throws {TypeError | RangeError} that names the member */
export function checkInspectionAction(action: InspectionAction): InspectionAction {
	const { type } = check("action", action, "object");
	checkWord("type", type, inspectionActions);
	const members = actionMembers[type];
	refuseOthers("action", action, ["type", ...members]);
	const given = action as Partial<Record<string, unknown>>;
	const { source, id, name, from, halfDone } = given;
	checkInspectionSource(source as InspectionSource | undefined);
	if (members.includes("id")) checkName("id", id as string);
	if (members.includes("name")) check("name", name as string, "string");
	if (from !== undefined) checkWord("from", from as string, ["failure", "start"]);
	if (halfDone !== undefined) check("halfDone", halfDone as boolean, "boolean");
	const { kind, lane, prefix } = given as Partial<Record<string, string>>;
	checkNames({ kind, lane, prefix });
	return action;
}

/** Checks an optional source. */
export function checkInspectionSource(source: InspectionSource | undefined): void {
	if (source !== undefined) checkWord("source", source, inspectionSources);
}

function isShort(text: unknown): boolean {
	return typeof text === "string" && text.length < 256;
}

/** A misspelled member would select or change more than the caller means. */
function refuseOthers(what: string, given: object, members: readonly string[]): void {
	const other = Object.keys(given).find((key) => !members.includes(key));
	if (other !== undefined) refuse(what, JSON.stringify(other), `an object with ${members.join(", ")} and nothing else`);
}
