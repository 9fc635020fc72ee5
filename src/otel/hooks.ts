/**
 * Which adds and attempts are operations, and what their spans are linked to.
 *
 * @module
 */

import type { OtelAttributes, OtelContext, OtelSpanOptions } from "./api.ts";
import type { OtelOptions } from "./options.ts";
import { type End, operations, type Part, partsOf } from "./operations.ts";
import type { ObservedAdd, ObservedAttempt, ObserverHooks } from "../run/observer.ts";

/** The values of `SpanKind`. */
const internal = 0;
const client = 2;
const producer = 3;
const consumer = 4;

export function hooksOf(options: OtelOptions): ObserverHooks {
	const { trace, propagation } = options;
	const ends = new WeakMap<Part, End>();
	const send = operations(options, ends, "send", "sent", "client.operation");
	const process = operations(options, ends, "process", "consumed", "process");
	return {
		adding(task) {
			if (partsOf(task)[0] === task) {
				const { links, parent, bearers } = originOf(options, task);
				const kind = bearers.length > 0 ? producer : client;
				send(task, "send", { kind, attributes: {}, links }, parent, (span) => {
					const carrier = {};
					propagation.inject(trace.setSpan(parent, span), carrier);
					for (const meta of bearers) Object.assign(meta, { ...carrier, ...meta });
				});
			}
			return ({ id, isAdded, error }) => {
				const attributes = { "messaging.message.id": id, "messaging.upkeep.added": isAdded };
				ends.get(task)?.(attributes, error === undefined ? undefined : { error });
			};
		},
		around(attempt, call) {
			const { by, basket, isRevert, step, worker, batch } = attempt;
			const { links, parent } = originOf(options, attempt);
			const kind = basket ? consumer : internal;
			const attributes = {
				...{ "messaging.client.id": worker, "messaging.upkeep.step": step },
				...!batch && messageOf(attempt),
			};
			process(attempt, basket ? isRevert ? "revert" : "process" : by, { kind, attributes, links }, parent, call);
		},
		ended(attempt, { outcome, took, error }) {
			const failure = /failed|retry|dead/.test(outcome) ? { error } : undefined;
			ends.get(attempt)?.({ "messaging.upkeep.outcome": outcome }, failure, took);
		},
		lost(attempt) {
			const error = { name: "ClaimLostError", message: "The claim is lost" };
			ends.get(attempt)?.({ "messaging.upkeep.outcome": "lost" }, { error });
		},
	};
}

/** The attributes of a message: of the span, or of its link in a batch. */
function messageOf({ id, attempt, lane }: Pick<Partial<ObservedAttempt>, "id" | "attempt" | "lane">): OtelAttributes {
	return { "messaging.message.id": id, "messaging.upkeep.attempt": attempt, "messaging.upkeep.lane": lane };
}

/**
 * The context of a new span, and the spans that it is linked to: those that have added the tasks.
 *
 * @returns also the meta of the tasks that no span has added yet
 */
function originOf(
	{ trace, propagation, context, parent: which }: OtelOptions,
	part: ObservedAdd | ObservedAttempt,
): { parent: OtelContext; links: OtelSpanOptions["links"]; bearers: object[] } {
	const active = context ? context.active() : contextOf();
	const ambient = context ? trace.getSpan(active) : trace.getActiveSpan();
	const bare = trace.deleteSpan(active);
	const within = (context: OtelContext) => ambient ? trace.setSpan(context, ambient) : trace.deleteSpan(context);
	const links: OtelSpanOptions["links"] = [];
	const bearers: object[] = [];
	let parent = within(bare);
	for (const one of partsOf<Part & Omit<Partial<ObservedAttempt>, keyof Part>>(part)) {
		const { meta = {} } = one;
		const sent = propagation.extract(bare, meta);
		const created = trace.getSpanContext(sent);
		if (created) links.push({ context: created, attributes: part.batch ? messageOf(one) : {} });
		else bearers.push(meta);
		if (part.batch) continue;
		const isFirst = which === "first" && one.attempt === 1 && created;
		if (isFirst && ambient) links.push({ context: ambient.spanContext(), attributes: {} });
		parent = isFirst ? sent : within(sent);
	}
	return { parent, links, bearers };
}

/** A context as the API makes them, which it gives only to those who import it. */
function contextOf(getValue: (key: symbol) => unknown = () => undefined): OtelContext {
	const withValue = (key: symbol, value?: unknown) => contextOf((other) => other === key ? value : getValue(other));
	return { getValue, setValue: withValue, deleteValue: withValue };
}
