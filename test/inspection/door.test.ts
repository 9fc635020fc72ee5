// Checks of arguments of the inspection and its handler, like those of test/door.test.ts.
import { Basket, memoryStore, Processor } from "../../mod.ts";
import { basketHandler, inspect, meter } from "../../src/http/http.ts";
import { noop, options, testDoors } from "../doors.ts";

const store = memoryStore();
const outbox = new Basket({ store, tasks: { a: noop } });
const processor = new Processor({ store, jobs: [] });
const inspection = inspect({ outbox, processor });
const state = async () => [await outbox.counts(), await outbox.pauses(), await processor.pauses()];

const members = ["source", "state", "status", "kind", "lane", "prefix", "text", "parent", "order", "limit", "after"];
const listed = Object.fromEntries(members.map((name) => [
	`list(query.${name})`,
	() => ({ names: new RegExp(`"${name}"`), give: (value: never) => inspection.list({ [name]: value }) }),
]));
const acting: [type: string, member: string, more?: object][] = [
	["retry", "id"],
	["retry", "from", { id: "a", source: "processor" }],
	["hold", "source", { id: "a" }],
	["delete", "halfDone", { id: "a", source: "processor" }],
	["retryAll", "kind"],
	["retryAll", "lane"],
	["retryAll", "prefix"],
	["cancel", "id"],
	["signal", "name", { id: "a" }],
];
const acted = Object.fromEntries(acting.map(([type, member, more]) => [
	`act(${type}, ${member})`,
	() => ({
		names: new RegExp(`"${member}"`),
		give: (value: never) => inspection.act({ type, ...more, [member]: value } as never),
		state,
	}),
]));

testDoors("inspect, basketHandler, meter", {
	"inspect(inspectable)": () => ({ names: /"(inspectable|outbox|processor)/, give: (value) => void inspect(value) }),
	"inspect({ outbox })": () => ({
		names: /"(inspectable|outbox)/,
		give: (value) => void inspect({ outbox: value }),
	}),
	"inspect({ processor })": () => ({
		names: /"(inspectable|processor)/,
		give: (value) => void inspect({ processor: value }),
	}),
	"inspect(options)": () => ({
		names: /"(options|redact|actions|meter|onError|clock)/,
		give: (value) => void inspect({ outbox }, value),
	}),
	...options(["redact", "actions", "meter", "onError", "clock"], (options) => void inspect({ outbox }, options)),
	"basketHandler(inspectable)": () => ({
		names: /"(inspectable|outbox|processor)/,
		give: (value) => void basketHandler(value),
	}),
	"basketHandler(options)": () => ({
		names: /"(options|authorize)/,
		give: (value) => void basketHandler({ outbox }, value),
	}),
	...Object.fromEntries(
		Object.entries(options(
			[
				...[
					"authorize",
					"redact",
					"meter",
					"trustedOrigins",
					"basePath",
					"maxBodySize",
					"heartbeat",
					"onError",
					"clock",
				],
				...["maxStreams", "maxStreamTime"],
			],
			(options) => void basketHandler({ outbox }, options),
		)).map(([name, door]) => [`basketHandler ${name}`, door]),
	),
	"list(query)": () => ({ names: /"(query|source)"/, give: (value) => inspection.list(value) }),
	...listed,
	"get(id)": () => ({ names: /"id"/, give: (value) => inspection.get(value), takes: ["string"] }),
	"get(source)": () => ({ names: /"source"/, give: (value) => inspection.get("a", value) }),
	"act(action)": () => ({ names: /"(action|type)"/, give: (value) => inspection.act(value), state }),
	...acted,
	"watch(listener)": () => ({ names: /"listener"/, give: (value) => inspection.watch(value)() }),
	"watch(onError)": () => ({ names: /"onError"/, give: (value) => inspection.watch(noop, value)() }),
	"meter(options)": () => ({ names: /"(options|clock)/, give: (value) => void meter(value) }),
	"meter(options.clock)": () => ({ names: /"clock/, give: (value) => void meter({ clock: value }) }),
});
