// Checks of arguments. If a public function gets an invalid value, it throws a TypeError or RangeError that names the
// argument, or the error of the caller's own getter. The state is unchanged.
import {
	Basket,
	batch,
	configure,
	Group,
	Intermittent,
	IntermittentMap,
	job,
	later,
	Lifecycle,
	limit,
	memoryStore,
	poll,
	Pool,
	Processor,
	reconcile,
	resetBackoff,
	retryAfter,
	retryNow,
	run,
	Runner,
	Services,
	sleep,
	start,
	stop,
	stopNow,
	TaskNotFoundError,
} from "../mod.ts";
import { backgroundSync, leader, online, visible } from "../src/browser/browser.ts";
import { cron } from "../src/cron/cron.ts";
import { servicesHandler } from "../src/http/http.ts";
import { serve, threadWorker } from "../src/threads/threads.ts";
import { faultyStore, testStore, VirtualClock } from "../src/testing/testing.ts";
import { clock, type Door, mine, next, noop, one, options, runnerOptions, testDoors } from "./doors.ts";

function newBasket() {
	return new Basket({
		store: memoryStore({ clock }),
		clock,
		tasks: { a: (_: unknown) => {}, constructor: noop, ["__proto__"]: noop },
	});
}

type AnyCall = (...values: unknown[]) => unknown;

/** A door that calls a method of a basket with a hostile value. */
function ofBasket(names: RegExp, give: (basket: Record<string, AnyCall>, value: unknown) => unknown): () => Door {
	return () => {
		const basket = newBasket();
		const state = async () => {
			const tasks = [];
			for await (const task of basket.list()) tasks.push(task);
			return [tasks, await basket.counts(), basket.getSnapshot()];
		};
		return { names, give: (value) => give(basket as never, value), state };
	};
}

const store = memoryStore();
const basketOptions = [
	...[
		"store",
		"name",
		"tasks",
		"concurrency",
		"lease",
		"grace",
		"crashes",
		"retain",
		"retainDead",
		"codec",
		"gate",
		"wake",
		"onSettled",
	],
	...["onError", ...runnerOptions],
];

testDoors("new Basket()", {
	options: () => ({ names: /"(options|store|tasks)/, give: (value) => new Basket(value) }),
	...options(basketOptions, (options) => new Basket({ store, tasks: { a: noop }, ...options as object })),
	"a task": () => ({
		names: /"(tasks\.a|run|schema|codec|crashes|retain|attempts|backoff)/,
		give: (value) => new Basket({ store, tasks: { a: value } }),
	}),
	...Object.fromEntries(
		["run", "schema", "codec", "crashes", "retain", "retainDead", "limit", ...runnerOptions.slice(0, -1)].map(
			(name) => {
				const give = (value: unknown) => new Basket({ store, tasks: { a: { run: noop, [name]: value } } } as never);
				return [`a task's ${name}`, () => ({ names: new RegExp(`"${name}`), give })];
			},
		),
	),
	"the name of a task": () => ({
		takesAll: true,
		names: /"kind"/,
		give: (value) => typeof value === "string" && new Basket({ store, tasks: { [value as string]: noop } as never }),
	}),
});

const entryOptions = ["id", "delay", "at", "ifPresent", "within", "most", "priority", "lane"];

testDoors("Basket", {
	"add(kind)": ofBasket(/"kind"|no tasks of the kind/, (basket, value) => basket.add!(value, 1)),
	"add(payload)": ofBasket(/payload/, (basket, value) => basket.add!("a", value)),
	"add(options)": ofBasket(
		/"(options|id|delay|at|ifPresent|within|most|priority|lane|tx)"|transactions/,
		(basket, value) => basket.add!("a", 1, value),
	),
	...Object.fromEntries(entryOptions.flatMap((name) => {
		const names = new RegExp(`"${name}"`);
		const entry = (value: unknown) => ({ kind: "a", payload: 1, [name]: value });
		return [
			[`add(options.${name})`, ofBasket(names, (basket, value) => basket.add!("a", 1, { [name]: value }))],
			[
				`addMany(entry.${name})`,
				ofBasket(names, (basket, value) => basket.addMany!([{ kind: "a" }, entry(value), { kind: "a" }])),
			],
		];
	})),
	"add(options.tx)": ofBasket(/transactions/, (basket, value) => basket.add!("a", 1, { tx: value })),
	"addMany(entries)": ofBasket(
		/"(entries|entry|kind)"|no tasks of the kind/,
		(basket, value) => basket.addMany!(value),
	),
	"addMany(entry)": ofBasket(
		/"(entry|kind)"|no tasks of the kind/,
		(basket, value) => basket.addMany!([{ kind: "a" }, value]),
	),
	"addMany(entry.payload)": ofBasket(
		/payload/,
		(basket, value) => basket.addMany!([{ kind: "a" }, { kind: "a", payload: value }]),
	),
	"addMany(options)": ofBasket(/"options"|transactions/, (basket, value) => basket.addMany!([{ kind: "a" }], value)),
	"run(options)": ofBasket(
		/"(options|signal)/,
		(basket, value) => basket.run!(Object(value) === value ? { signal: value } : value),
	),
	"drain(options)": ofBasket(
		/"(options|signal)/,
		(basket, value) => basket.drain!(Object(value) === value ? { signal: value } : value),
	),
	...Object.fromEntries(["get", "delete", "retry", "hold", "release"].map((name) => [
		`${name}(id)`,
		ofBasket(/"id"/, (basket, value) => basket[name]!(value)),
	])),
	"wait(id)": ofBasket(/"id"/, async (basket, value) => {
		await (basket.wait!(value) as Promise<unknown>).catch((error) => {
			if (!(error instanceof TaskNotFoundError)) throw error;
		});
	}),
	...Object.fromEntries(["pause", "resume"].flatMap((name) => [
		[`${name}(options)`, ofBasket(/"(options|stored|kind)"/, (basket, value) => basket[name]!(value ?? null))],
		[
			`${name}(options.kind)`,
			ofBasket(/"kind"/, async (basket, value) => {
				await basket[name]!({ stored: true, kind: value });
				await basket.resume!({ stored: true, kind: value });
			}),
		],
	])),
	"stop(options)": ofBasket(/"(options|signal|finish)/, (basket, value) => basket.stop!(value)),
	"stop(options.finish)": ofBasket(/"finish"/, (basket, value) => basket.stop!({ finish: value })),
	"run(options.finish)": ofBasket(/"finish"/, (basket, value) => {
		return basket.run!({ signal: AbortSignal.abort(), finish: value });
	}),
	...Object.fromEntries(["delete", "retry", "hold", "release"].map((name) => [
		`${name}(filter.lane)`,
		ofBasket(/"(id|lane)"/, (basket, value) => basket[name]!({ lane: value })),
	])),
	"clear(filter)": ofBasket(/"filter"/, (basket, value) => basket.clear!(value ?? null)),
	"clear(filter.prefix)": ofBasket(/"prefix"/, (basket, value) => basket.clear!({ kind: "b", prefix: value })),
	"list(query)": ofBasket(
		/"(query|state|kind|lane|prefix|order|after|limit)"/,
		(basket, value) => next(basket.list!(value)),
	),
	...Object.fromEntries(["state", "kind", "lane", "prefix", "order", "after", "limit"].map((name) => [
		`list(query.${name})`,
		ofBasket(new RegExp(`"${name}"`), (basket, value) => next(basket.list!({ [name]: value }))),
	])),
	"subscribe(listener)": ofBasket(/"listener"/, (basket, value) => basket.subscribe!(value)),
});

testDoors("batch()", {
	options: () => ({ names: /"(options|most)"/, give: (value) => batch(value, noop) }),
	"options.most": () => ({ names: /"most"/, give: (value) => batch({ most: value }, noop) }),
	"options.wait": () => ({ names: /"wait"/, give: (value) => batch({ most: 1, wait: value }, noop) }),
	run: () => ({ names: /"run"/, give: (value) => batch({ most: 1 }, value) }),
});

testDoors("run(), Runner, Group, sleep()", {
	// A class cannot be distinguished from a function before the call.
	"run(task)": () => ({ names: /"task"|class constructor/i, give: (value) => run(value) }),
	"run(options)": () => ({ names: /"(options|attempts|backoff|signal)/, give: (value) => run(noop, value) }),
	...options([...runnerOptions, "signal"], (options) => run(noop, options)),
	"new Runner(task)": () => ({ names: /"task"/, give: (value) => new Runner(value) }),
	"new Runner(options)": () => ({ names: /"(options|attempts)/, give: (value) => new Runner(noop, value) }),
	"step(options)": () => ({ names: /"(options|signal)/, give: (value) => new Runner(noop).step(value) }),
	"step(options.signal)": () => ({ names: /"signal/, give: (value) => new Runner(noop).step({ signal: value }) }),
	"new Group(options)": () => ({ names: /"(options|signal|forget|attempts)/, give: (value) => new Group(value) }),
	"new Group(options.signal)": () => ({ names: /"signal/, give: (value) => new Group({ signal: value }) }),
	"new Group(options.forget)": () => ({ names: /"forget/, give: (value) => new Group({ forget: value }) }),
	"new Group(options.onError)": () => ({ names: /"onError/, give: (value) => new Group({ onError: value }) }),
	...Object.fromEntries(["name", "task", "options", "ifPresent", "signal", "attempts", "backoff"].map((name) => [
		`spawn(${name})`,
		() => {
			const group = new Group({ clock });
			const [named, task, options] = name === "name"
				? [(value: unknown) => value, () => noop, () => ({})]
				: name === "task"
				? [() => "a", (value: unknown) => value, () => ({})]
				: [() => "a", () => noop, (value: unknown) => name === "options" ? value : { [name]: value }];
			const give = (value: unknown) =>
				void group.spawn(named(value) as never, task(value) as never, options(value) as never);
			const names = name === "options" ? /"(options|signal|ifPresent|attempts)/ : new RegExp(`"${name}`);
			return { names, give, state: () => [...group.tasks().keys()] };
		},
	])),
	"wait(options)": () => ({ names: /"(options|signal)/, give: (value) => new Group().wait(value) }),
	"wait(options.signal)": () => ({ names: /"signal/, give: (value) => new Group().wait({ signal: value }) }),
	"group.subscribe(listener)": () => ({ names: /"listener"/, give: (value) => new Group().subscribe(value) }),
	"sleep(delay)": () => ({ names: /"delay"/, give: (value) => sleep(value, { clock }) }),
	"sleep(options)": () => ({ names: /"(options|signal|clock|unref)/, give: (value) => sleep(0, value) }),
	"sleep(options.signal)": () => ({ names: /"signal/, give: (value) => sleep(0, { clock, signal: value }) }),
	"sleep(options.unref)": () => ({ names: /"unref/, give: (value) => sleep(0, { clock, unref: value }) }),
	"sleep(options.clock)": () => ({ names: /"clock/, give: (value) => sleep(0, { clock: value }) }),
	"retryAfter(delay)": () => ({ names: /"delay"/, give: (value) => retryAfter(value, mine) }),
	"later(delay)": () => ({ names: /"delay"/, give: (value) => later(value, mine) }),
	"stopNow(error)": () => ({
		takesAll: true,
		names: /^$/,
		give: (value) => void [stopNow(value), retryNow(value), resetBackoff(value)],
	}),
});

const rateOptions = ["tasks", "per", "burst"];

testDoors("limit(), later(), retryAfter()", {
	"limit(options)": () => ({ names: /"(options|key|atOnce|rate)/, give: (value) => limit(value) }),
	...options(["key", "atOnce", "rate"], (options) => limit({ rate: { tasks: 1, per: 1 }, ...options as object })),
	...Object.fromEntries(rateOptions.map((name) => {
		const give = (value: unknown) => limit({ rate: { tasks: 1, per: 1, [name]: value } });
		return [`limit(rate.${name})`, () => ({ names: new RegExp(`"rate(\\.${name})?"`), give })];
	})),
	"limit.key()": () => ({
		names: /"limit.key\(\)"/,
		takes: ["string"],
		give: (value) => limit({ key: () => value, atOnce: 1 }).keyOf(1),
	}),
	"later(options)": () => ({ names: /"(options|limit)"/, give: (value) => later(1, mine, value) }),
	"later(options.limit)": () => ({
		names: /"limit"/,
		takes: ["boolean"],
		give: (value) => later(1, mine, { limit: value }),
	}),
	"retryAfter(options.limit)": () => ({
		names: /"limit"/,
		takes: ["boolean"],
		give: (value) => retryAfter(1, mine, { limit: value }),
	}),
});

testDoors("cron()", {
	"cron(text)": () => ({ names: /"text"/, give: (value) => cron(value) }),
	"cron(options)": () => ({ names: /"(options|timeZone|gap)"/, give: (value) => cron("@daily", value) }),
	...options(["timeZone", "gap"], (options) => cron("@daily", options)),
	"next(after)": () => ({ names: /"after"/, give: (value) => cron("@daily").next(value) }),
});

const attemptOptions = [
	"attempts",
	"backoff",
	"timeout",
	"deadline",
	"abandonAfter",
	"shouldRetry",
	"onAttemptFailed",
	"unref",
];
const poolOptions = [
	"min",
	"max",
	"idleTimeout",
	"createWorker",
	"destroyWorker",
	"onError",
	"clock",
	...attemptOptions,
];
const poolTaskOptions = ["options", "priority", "signal", "restart", ...attemptOptions];
const anyOfPoolTask = new RegExp(`"(${poolTaskOptions.join("|")})`);

testDoors("Pool, Intermittent, poll()", {
	"pool.stop(options.finish)": () => ({
		names: /"finish"/,
		give: (value) => new Pool({ max: 1, clock }).stop({ finish: value }),
	}),
	"new Pool(options)": () => ({ names: /"(options|max)"/, give: (value) => void new Pool(value) }),
	...options(poolOptions, (options) => new Pool({ max: 1, ...options as object })),
	...Object.fromEntries(["name", "task", ...poolTaskOptions].map((name) => [
		`pool.spawn(${name})`,
		() => {
			const pool = new Pool({ max: 1, clock });
			pool.pause();
			const of = (which: string, value: unknown, other: unknown) => name === which ? value : other;
			const give = (value: unknown) => {
				const options = of("options", value, ["name", "task"].includes(name) ? {} : { [name]: value });
				const task = pool.spawn(of("name", value, "a") as string, of("task", value, noop) as never, options as never);
				task.result().catch(noop);
				task.cancel();
			};
			const names = name === "options" ? anyOfPoolTask : new RegExp(`"${name}`);
			return { names, give, state: () => [...pool.tasks().keys()] };
		},
	])),
	"pool.run(task)": () => ({
		names: /"task"|class constructor/i,
		give: (value) => new Pool({ max: 1, clock }).run(value),
	}),
	"pool.max": () => ({ names: /"max"/, give: (value) => void (new Pool({ max: 1 }).max = value) }),
	...Object.fromEntries(poolTaskOptions.map((name) => [`pool.run(${name})`, () => {
		const pool = new Pool({ max: 1, clock });
		pool.pause();
		const give = (value: unknown) => {
			const run = pool.run(noop, (name === "options" ? value : { [name]: value }) as never);
			return Promise.race([run, Promise.resolve().then(noop).then(noop)]);
		};
		return { names: name === "options" ? anyOfPoolTask : new RegExp(`"${name}`), give };
	}])),
	"pool.wait(options)": () => {
		const pool = new Pool({ max: 1, clock });
		pool.pause();
		pool.spawn("a", noop);
		return { names: /"(options|signal)/, give: (value) => pool.wait(value) };
	},
	"intermittent.wait(options)": () => {
		const intermittent = new Intermittent(noop);
		intermittent.attach(new AbortController().signal);
		return { names: /"(options|signal)/, give: (value) => intermittent.wait(value) };
	},
	"group.stop(options)": () => {
		const group = new Group({ clock });
		group.spawn("a", noop);
		return { names: /"(options|signal)/, give: (value) => group.stop(value) };
	},
	"intermittent.stop(options)": () => {
		const intermittent = new Intermittent(noop);
		intermittent.attach(new AbortController().signal).catch(noop);
		return { names: /"(options|signal)/, give: (value) => intermittent.stop(value) };
	},
	"map.stop(options)": () => {
		const map = new IntermittentMap(noop);
		map.attach("a", new AbortController().signal).catch(noop);
		return { names: /"(options|signal)/, give: (value) => map.stop(value) };
	},
	"map.attach(signal)": () => {
		const map = new IntermittentMap(noop);
		return { names: /"signal/, give: (value) => map.attach("a", value), state: () => map.size };
	},
	"pool.stop(options)": () => ({ names: /"(options|signal)/, give: (value) => new Pool({ max: 1 }).stop(value) }),
	"new Intermittent(start)": () => ({ names: /"start"/, give: (value) => void new Intermittent(value) }),
	"new Intermittent(options)": () => ({
		names: /"(options|linger|onError|clock)/,
		give: (value) => void new Intermittent(noop, value),
	}),
	"new Intermittent(options.linger)": () => ({
		names: /"linger"/,
		give: (value) => void new Intermittent(noop, { linger: value }),
	}),
	"new Intermittent(options.onError)": () => ({
		names: /"onError"/,
		give: (value) => void new Intermittent(noop, { onError: value }),
	}),
	"attach(signal)": () => {
		const intermittent = new Intermittent(noop);
		return { names: /"signal/, give: (value) => intermittent.attach(value), state: () => intermittent.getSnapshot() };
	},
	"new IntermittentMap(start)": () => ({ names: /"start"/, give: (value) => void new IntermittentMap(value) }),
	"new IntermittentMap(options)": () => ({
		names: /"(options|linger|onError|clock)/,
		give: (value) => void new IntermittentMap(noop, value),
	}),
	"poll(action)": () => ({ names: /"action"/, give: (value) => void poll(value) }),
	"poll(options)": () => ({ names: /"(options|interval|backoff)/, give: (value) => void poll(noop, value) }),
	...Object.fromEntries(["interval", "backoff", "onAttempt", "onError", "clock"].map((name) => [
		`poll(options.${name})`,
		() => ({ names: new RegExp(`"(${name}|interval)`), give: (value) => void poll(noop, one(name, value) as never) }),
	])),
});

const services = () => new Services({ kinds: { a: () => new Lifecycle(noop) }, ids: () => "made" });

testDoors("Lifecycle, Services, reconcile()", {
	"new Lifecycle(applyConfig)": () => ({ names: /"applyConfig"/, give: (value) => void new Lifecycle(value) }),
	"new Lifecycle(options)": () => ({
		names: /"(options|readConfig|retry|onError|clock)/,
		give: (value) => void new Lifecycle(noop, value),
	}),
	...options(["readConfig", "onError", "clock"], (options) => new Lifecycle(noop, options)),
	"new Lifecycle(options.retry)": () => ({
		names: /"(retry|attempts|backoff)/,
		give: (value) => void new Lifecycle(noop, { retry: value }),
	}),
	...Object.fromEntries(["options", "parsed"].flatMap((name) => {
		const names = name === "options" ? /"(options|parsed)"/ : /"parsed"/;
		const given = (value: unknown) => (name === "options" ? value : { parsed: value }) as never;
		return [
			[`lifecycle.configure(${name})`, () => {
				const lifecycle = new Lifecycle(noop);
				lifecycle.start();
				return { names, give: (value) => lifecycle.configure(1, given(value)), state: () => lifecycle.getSnapshot() };
			}],
			[`services.configure(${name})`, () => {
				const registry = services();
				const give = async (value: unknown) => {
					await registry.create({ id: "a", kind: "a" });
					return await registry.configure("a", 1, given(value)).finally(() => registry.delete("a"));
				};
				return { names, give, state: () => registry.list() };
			}],
		] as [string, () => Door][];
	})),
	"waitForStateChange(from)": () => ({
		names: /"from"/,
		give: (value) => new Lifecycle(noop).waitForStateChange(value),
	}),
	"waitForStateChange(options)": () => ({
		names: /"(options|signal)/,
		give: (value) => new Lifecycle(noop).waitForStateChange("inactive", value),
	}),
	"start(), stop(), configure()": () => ({
		takesAll: true,
		names: /has no method "(start|stop|configure)"/,
		give: async (value) => {
			for (const call of [start, stop, configure] as AnyCall[]) {
				await (call(value) as Promise<void>).catch((error) => {
					if ((error as Error).name !== "MissingMethodError") throw error;
				});
			}
		},
	}),
	"new Services(options)": () => ({ names: /"(options|kinds)/, give: (value) => void new Services(value) }),
	...options(["kinds", "ids", "onError"], (options) => new Services({ kinds: {}, ...options as object })),
	...Object.fromEntries(["request", "id", "kind", "active", "parsed"].map((name) => [`services.create(${name})`, () => {
		const registry = services();
		const give = (value: unknown) =>
			registry.create((name === "request" ? value : { kind: "a", [name]: value }) as never);
		const names = name === "request" ? /"(request|kind)/ : name === "kind" ? /"kind"|kind/ : new RegExp(`"${name}"`);
		const isOwn = (error: unknown) => (error as Error).name === "UnknownKindError" ? undefined : Promise.reject(error);
		return { names, give: (value) => give(value).catch(isOwn), state: () => registry.list().length };
	}])),
	"services.list(options)": () => ({ names: /"(options|after|limit)"/, give: (value) => services().list(value) }),
	"services.list(options.after)": () => ({ names: /"after"/, give: (value) => services().list({ after: value }) }),
	"services.list(options.limit)": () => ({ names: /"limit"/, give: (value) => services().list({ limit: value }) }),
	"services.watch(options)": () => ({
		names: /"(options|signal|after|since)/,
		give: (value) => void services().watch(value),
	}),
	"reconcile(plan)": () => ({ names: /"plan/, give: (value) => reconcile(value, { clock }) }),
	"reconcile(options)": () => ({
		names: /"(options|errorsToTolerate|signal)/,
		give: (value) => reconcile({ create: () => [] }, value),
	}),
	...options(
		["errorsToTolerate", "interval", "deadline", "onEvent", "onError", "clock", "signal"],
		(options) => reconcile({ create: () => [] }, options),
	),
	"reconcile(): what create() gives": () => ({
		names: /"(tasks|task|plan)|task|create/,
		give: (value) => {
			let rounds = 0;
			return reconcile({ create: () => rounds++ === 0 ? value : [] }, { clock, interval: 0 });
		},
	}),
});

const step = job<string>("known").step("one", { run: () => 1 });
const processor = () => new Processor({ store: memoryStore(), jobs: [step], clock });

const each = (values?: object) => ({ items: () => [], run: noop, ...values });

testDoors("job(), Processor", {
	"job(name)": () => ({ names: /"name"/, give: (value) => void job(value) }),
	"step(name)": () => ({ names: /"name"|another step/, give: (value) => void job("a").step(value, { run: noop }) }),
	"step(options)": () => ({ names: /"(options|run|step)/, give: (value) => void job("a").step("one", value) }),
	"step(options.run)": () => ({ names: /"run"/, give: (value) => void job("a").step("one", { run: value }) }),
	"all(name)": () => ({
		names: /"name"|another step/,
		give: (value) => void job("a").all(value, { one: { run: noop } }),
	}),
	"all(branches)": () => ({
		names: /"(branches|options|run|name)/,
		give: (value) => void job("a").all("one", value),
	}),
	"all(branches.one)": () => ({
		names: /"(options|run|step)/,
		give: (value) => void job("a").all("one", { one: value as never }),
	}),
	"each(name)": () => ({ names: /"name"|another step/, give: (value) => void job("a").each(value, each()) }),
	"each(options)": () => ({ names: /"(options|items)/, give: (value) => void job("a").each("one", value) }),
	...options(
		["items", "run", "revert", "atOnce", "tolerate", "into", "schema", "revertAttempts", ...runnerOptions.slice(0, -2)],
		(options) => void job("a").each("one", each(options as object)),
	),
	"job(name) of a step": () => ({
		names: /"name"|another step/,
		give: (value) => void job("a").job(value, step, () => "x"),
	}),
	"job(job)": () => ({ names: /"job/, give: (value) => void job("a").job("one", value, () => 1 as never) }),
	"job(input)": () => ({ names: /"input"/, give: (value) => void job("a").job("one", step, value) }),
	"sleep(name)": () => ({ names: /"name"|another step/, give: (value) => void job("a").sleep(value, 1) }),
	"sleep(duration)": () => ({ names: /"duration"/, give: (value) => void job("a").sleep("one", value) }),
	"new Processor(options)": () => ({ names: /"(options|store|jobs)/, give: (value) => void new Processor(value) }),
	...options(
		["store", "jobs", "name", "retain", "crashes", "codec", "onError", "clock", "concurrency", "lease", "backoff"],
		(options) => new Processor({ store, jobs: [step], ...options as object }),
	),
	"processor.add(job)": () => ({
		names: /"job|no job/,
		give: (value) => (processor() as Processor).add(value as typeof step, "x"),
	}),
	"processor.add(input)": () => ({ names: /payload|input/, give: (value) => processor().add(step, value) }),
	"processor.add(options)": () => ({
		names: /"(options|id|delay|priority|lane|tx)"|transactions/,
		give: (value) => processor().add(step, "x", value),
	}),
	...Object.fromEntries(["result", "get", "cancel", "hold", "release", "delete", "wait"].map((name) => [
		`processor.${name}(id)`,
		() => {
			const isOwn = (error: unknown) =>
				(error as Error).name === "JobNotFoundError" ? undefined : Promise.reject(error);
			const give = (value: unknown) => {
				const calls = processor() as unknown as Record<string, (id: unknown) => Promise<unknown>>;
				return calls[name]!(value).catch(isOwn);
			};
			return { names: /"id"/, give };
		},
	])),
	"processor.signal(name)": () => ({
		names: /"name"|does not wait for/,
		give: async (value) => {
			const all = processor();
			return await (all as Processor).signal((await all.add(step, "x")).id as string, value as string);
		},
	}),
	"processor.wait(options)": () => ({
		names: /"(options|signal)/,
		give: async (value) => {
			const all = processor();
			return await all.wait((await all.add(step, "x")).id, value);
		},
	}),
	"processor.wait(options.signal)": () => ({
		names: /"signal/,
		give: async (value) => {
			const all = processor();
			return await all.wait((await all.add(step, "x")).id, { signal: value });
		},
	}),
	"processor.list(query)": () => ({
		names: /"(query|job|state|after|limit|kind)"/,
		give: (value) => next(processor().list(value)),
	}),
});

const basketToSync = { drain: () => Promise.resolve(), counts: async () => ({ waiting: 0 }), subscribe: () => noop };
const registration = { scope: "", sync: { register: () => Promise.resolve() } };

testDoors("upkeep/browser, upkeep/http, upkeep/testing", {
	"leader(name)": () => ({ names: /"name"/, give: (value) => void leader(value) }),
	"leader(options)": () => ({ names: /"(options|timeout|locks)/, give: (value) => void leader("a", value) }),
	...options(["timeout", "signal", "locks", "onError", "clock"], (options) => leader("a", options)),
	"leader().subscribe(listener)": () => ({
		names: /"listener"/,
		give: (value) => (leader("a", { locks: null }).subscribe(value) as () => void)(),
	}),
	"online().subscribe(listener)": () => ({ names: /"listener"/, give: (value) => online().subscribe(value)() }),
	"visible().subscribe(listener)": () => ({ names: /"listener"/, give: (value) => visible().subscribe(value)() }),
	"backgroundSync(basket)": () => ({ names: /"basket/, give: (value) => backgroundSync(value, registration)() }),
	"backgroundSync(registration)": () => ({
		names: /"registration/,
		give: (value) => backgroundSync(basketToSync, value)(),
	}),
	"backgroundSync(registration.sync)": () => ({
		names: /"registration.sync/,
		give: (value) => backgroundSync(basketToSync, { scope: "", sync: value })(),
	}),
	"backgroundSync(options)": () => ({
		names: /"(options|tag|onError|clock)/,
		give: (value) => backgroundSync(basketToSync, registration, value)(),
	}),
	"backgroundSync(options.tag)": () => ({
		names: /"tag"/,
		give: (value) => backgroundSync(basketToSync, registration, { tag: value })(),
	}),
	"servicesHandler(services)": () => ({ names: /"services/, give: (value) => void servicesHandler(value) }),
	"servicesHandler(options)": () => ({
		names: /"(options|authorize)/,
		give: (value) => void servicesHandler(services(), value),
	}),
	...options(
		[
			...["authorize", "trustedOrigins", "basePath", "pageSize", "maxBodySize", "heartbeat", "onError", "clock"],
			...["maxStreams", "maxStreamWaiting", "maxStreamTime"],
		],
		(options) => void servicesHandler(services(), options),
	),
	"threadWorker(source)": () => ({ names: /"source"/, give: (value) => void threadWorker(value) }),
	"threadWorker(options)": () => ({
		names: /"(options|abandonAfter|startTimeout|onError|clock)/,
		give: (value) => void threadWorker("data:text/javascript,", value),
	}),
	...options(
		["abandonAfter", "startTimeout", "onError", "clock"],
		(options) => void threadWorker("data:text/javascript,", options),
	),
	"serve(functions)": () => ({ names: /"functions"/, give: (value) => void serve(value) }),
	"testStore(name)": () => ({
		names: /"name"/,
		give: (value) => testStore(value, () => Promise.reject(mine), { test: noop }),
	}),
	"testStore(open)": () => ({ names: /"open"/, give: (value) => testStore("a", value, { test: noop }) }),
	"testStore(options)": () => ({
		takesAll: true,
		names: /"(options|test|without|seed)"/,
		give: (value) => testStore("a", () => Promise.reject(mine), { test: noop, ...Object(value) }),
	}),
	"testStore(options.without)": () => ({
		names: /"without/,
		give: (value) => testStore("a", () => Promise.reject(mine), { test: noop, without: value }),
	}),
	"memoryStore(options)": () => ({ names: /"(options|clock|random)/, give: (value) => void memoryStore(value) }),
	"memoryStore(options.random)": () => ({ names: /"random/, give: (value) => void memoryStore({ random: value }) }),
	"faultyStore(store)": () => ({ names: /"store/, give: (value) => void faultyStore(value, () => undefined) }),
	"faultyStore(plan)": () => ({ names: /"plan"/, give: (value) => void faultyStore(memoryStore(), value) }),
	"faultyStore(options)": () => ({
		names: /"(options|clock)/,
		give: (value) => void faultyStore(memoryStore(), () => undefined, value),
	}),
	"new VirtualClock(options)": () => ({ names: /"(options|now)/, give: (value) => void new VirtualClock(value) }),
	"advance(duration)": () => ({ names: /"duration"/, give: (value) => new VirtualClock().advance(value) }),
});
