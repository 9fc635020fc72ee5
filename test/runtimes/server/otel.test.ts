// Traces over two processes, in real async contexts, and the memory that many spans take.
import { AsyncLocalStorage } from "node:async_hooks";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
	type Context,
	context,
	type ContextManager,
	metrics,
	propagation,
	ROOT_CONTEXT,
	trace,
} from "@opentelemetry/api";
import { afterEach, expect, test } from "vitest";
import { Basket, memoryStore, run, sleep } from "../../../mod.ts";
import { otel } from "../../../src/otel/otel.ts";
import { sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { growthOf } from "../../heap.ts";
import { idOf, linksOf, Sdk } from "../../otel/support.ts";
import { isLong } from "../../support.ts";

const api = { trace, metrics, propagation, context };

/** As that of `@opentelemetry/context-async-hooks`. */
class AsyncManager implements ContextManager {
	readonly #storage = new AsyncLocalStorage<Context>();

	active(): Context {
		return this.#storage.getStore() ?? ROOT_CONTEXT;
	}

	with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
		context: Context,
		call: F,
		self?: ThisParameterType<F>,
		...args: A
	): ReturnType<F> {
		return this.#storage.run(context, () => call.apply(self, args));
	}

	bind<T>(_: Context, target: T): T {
		return target;
	}

	enable(): this {
		return this;
	}

	disable(): this {
		return this;
	}
}

const spans = isLong ? 100_000 : 5_000;
const timeout = 300_000;

let sdk: Sdk;
afterEach(() => sdk.end());

/** The spans of the first attempts, which another process makes. */
async function attemptElsewhere(file: string) {
	const fixture = fileURLToPath(new URL("../../fixtures/otel-process.ts", import.meta.url));
	const prefix = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock", "--no-check", fixture] : [fixture];
	const { stdout } = await promisify(execFile)(process.execPath, [...prefix, file]);
	return JSON.parse(stdout) as { name: string; id: object; parent: string; links: object[] }[];
}

test("otel() carries the trace of an add to another process, and from there to the next attempt", async () => {
	sdk = new Sdk({ manager: new AsyncManager() });
	const folder = mkdtempSync(join(tmpdir(), "upkeep-otel-"));
	try {
		const file = join(folder, "tasks.db");
		const inner: unknown[] = [];
		const store = sqliteStore(new DatabaseSync(file));
		const mail = async (_: string) => {
			await sleep(1);
			trace.getTracer("test").startActiveSpan("inner", (span) => void (inner.push(span), span.end()));
		};
		const basket = new Basket({ store, tasks: { mail }, observe: otel({ ...api, parent: "first" }) });
		const request = await trace.getTracer("test").startActiveSpan("request", async (span) => {
			await sleep(1);
			await basket.add("mail", "ada", { id: "a" });
			span.end();
			return span;
		});
		const [elsewhere, ...others] = await attemptElsewhere(file);
		expect(others).toEqual([]);
		const done = basket.wait("a");
		void basket.run();
		expect(await done).toMatchObject({ state: "done" });
		await basket.stop();
		const [send, innerSpan, second] = sdk.spans.filter(({ name }) => name !== "request");
		expect(send!.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
		expect(elsewhere).toMatchObject({ name: "process default:mail", parent: idOf(send).spanId, links: [idOf(send)] });
		expect(elsewhere!.id).toMatchObject({ traceId: idOf(send).traceId });
		expect([second!.parentSpanContext, linksOf(second)]).toEqual([undefined, [idOf(send)]]);
		expect(innerSpan!.parentSpanContext).toMatchObject(idOf(second));
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
});

/** Counts spans, and keeps none. */
class Counter {
	ended = 0;

	onStart(): void {}

	onEnd(): void {
		this.ended++;
	}

	forceFlush(): Promise<void> {
		return Promise.resolve();
	}

	shutdown(): Promise<void> {
		return Promise.resolve();
	}
}

const fails = ({ attempt }: { attempt: number }) => {
	if (attempt === 1) throw new Error("450");
};

test(`${spans} spans of run() leave a flat heap`, async () => {
	const processor = new Counter();
	sdk = new Sdk({ processor });
	const options = { observe: otel(api) };
	expect(await growthOf(() => run(() => {}, options), spans / 2, 16)).toBeLessThan(16);
	expect(processor.ended).toBeGreaterThanOrEqual(spans);
}, timeout);

test(
	`${spans} spans of a basket leave a flat heap: of adds, failures, retries and attempts that never end`,
	async () => {
		const processor = new Counter();
		sdk = new Sdk({ processor });
		const hang = () => new Promise(() => {});
		const tasks = { mail: (_: string, context: { attempt: number }) => fails(context) };
		const observe = otel(api);
		const basket = new Basket({ store: memoryStore(), tasks, observe, backoff: 0, onError() {} });
		const many = Array.from({ length: 100 }, () => ({ kind: "mail" as const, payload: "ada" }));
		/** One for the adds, and two for each task. */
		const perUse = 1 + 2 * many.length;
		const use = async () => {
			// Nobody ever tells of its end.
			const attempt = { by: "basket", basket: "b", kind: "hang", id: "a", attempt: 1 } as const;
			observe.hooks.started?.(attempt, 0);
			observe.hooks.around?.(attempt, hang);
			await basket.addMany(many);
			await basket.drain();
		};
		const limit = 8 * perUse;
		expect(await growthOf(use, Math.ceil(spans / 2 / perUse), limit)).toBeLessThan(limit);
		expect(processor.ended).toBeGreaterThanOrEqual(spans);
		expect(processor.ended % perUse).toBe(0);
	},
	timeout,
);
