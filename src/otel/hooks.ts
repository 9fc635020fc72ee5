/**
 * Which adds and attempts are operations, and what their spans are linked to.
 *
 * @module
 */

import type { OtelAttributes, OtelContext } from "./api.ts";
import type { OtelOptions } from "./otel.ts";
import { type Operation, operations, partsOf } from "./operations.ts";
import type { ObservedAdd, ObservedAttempt, ObserverHooks } from "../run/observer.ts";

/** The values of `SpanKind`. */
const internal = 0;
const client = 2;
const producer = 3;
const consumer = 4;

export function hooksOf(options: OtelOptions): ObserverHooks {
	const { trace, propagation } = options;
	const sends = operations(options, "send", "sent", "client.operation");
	const processes = operations(options, "process", "consumed", "process");

	const send = (task: ObservedAdd) => {
		const { links, active, bare } = originOf(options, task);
		const bearers = partsOf(task).filter(({ meta }) => !trace.getSpanContext(propagation.extract(bare, meta)));
		const kind = bearers.length > 0 ? producer : client;
		sends.begin(task, { name: "send", kind, attributes: {}, links, parent: active }, (span) => {
			const carrier = {};
			propagation.inject(trace.setSpan(active, span), carrier);
			for (const { meta } of bearers) Object.assign(meta, { ...carrier, ...meta });
		});
	};

	return {
		adding(task) {
			if (partsOf(task)[0] === task) send(task);
			return ({ id, isAdded, error }) => {
				const attributes = { "messaging.message.id": id, "messaging.upkeep.added": isAdded };
				sends.endOf(task)?.(attributes, error === undefined ? undefined : { error });
			};
		},
		around(attempt, call) {
			const { by, basket, isRevert, step, worker, batch } = attempt;
			const { parent, links } = originOf(options, attempt);
			const attributes = {
				"messaging.client.id": worker,
				"messaging.upkeep.step": step,
				...!batch && messageOf(attempt),
			};
			const operation = basket === undefined
				? { name: by, kind: internal }
				: { name: isRevert ? "revert" : "process", kind: consumer };
			processes.begin(attempt, { ...operation, attributes, links, parent }, call);
		},
		ended(attempt, { outcome, took, error }) {
			const hasFailed = /failed|retry|dead/.test(outcome);
			processes.endOf(attempt)?.({ "messaging.upkeep.outcome": outcome }, hasFailed ? { error } : undefined, took);
		},
		lost(attempt) {
			const error = { name: "ClaimLostError", message: "The claim is lost" };
			processes.endOf(attempt)?.({ "messaging.upkeep.outcome": "lost" }, { error });
		},
	};
}

/** The attributes of a message: of the span, or of its link in a batch. */
function messageOf({ id, attempt, lane }: Omit<Partial<ObservedAttempt>, "batch">): OtelAttributes {
	return { "messaging.message.id": id, "messaging.upkeep.attempt": attempt, "messaging.upkeep.lane": lane };
}

/** The context of a new span, and the spans that it is linked to: those that have added the tasks. */
function originOf(
	options: OtelOptions,
	part: ObservedAdd | ObservedAttempt,
): Pick<Operation, "links" | "parent"> & { active: OtelContext; bare: OtelContext } {
	const { trace, propagation } = options;
	const active = activeOf(options);
	const bare = trace.deleteSpan(active);
	const ambient = trace.getSpan(active);
	const links: Operation["links"] = [];
	let parent = active;
	for (const one of partsOf<ObservedAdd | ObservedAttempt>(part)) {
		const sent = propagation.extract(bare, one.meta ?? {});
		const created = trace.getSpanContext(sent);
		if (created !== undefined) links.push({ context: created, attributes: part.batch ? messageOf(one) : {} });
		if (part.batch !== undefined) continue;
		const isFirst = options.parent === "first" && "attempt" in part && part.attempt === 1 && created !== undefined;
		if (isFirst && ambient !== undefined) links.push({ context: ambient.spanContext(), attributes: {} });
		if (isFirst) parent = sent;
		else parent = ambient === undefined ? trace.deleteSpan(sent) : trace.setSpan(sent, ambient);
	}
	return { parent, links, active, bare };
}

function activeOf({ trace, context }: OtelOptions): OtelContext {
	if (context !== undefined) return context.active();
	const span = trace.getActiveSpan();
	return span === undefined ? contextOf() : trace.setSpan(contextOf(), span);
}

/** A context as the API makes them, which it gives only to those who import it. */
function contextOf(getValue: (key: symbol) => unknown = () => undefined): OtelContext {
	const withValue = (key: symbol, value?: unknown) => contextOf((other) => other === key ? value : getValue(other));
	return { getValue, setValue: withValue, deleteValue: withValue };
}
