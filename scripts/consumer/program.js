// What a user of the package might write. scripts/consume.ts runs it in each runtime, with the package given in by the
// module system of that runtime, so that one program serves `import`, `require` and bundlers.

/**
 * @param {typeof import("upkeep")} upkeep
 * @param {typeof import("upkeep/testing")} testing
 */
export async function program(upkeep, testing) {
	await runs(upkeep, testing);
	await groups(upkeep);
	await shares(upkeep);
	await polls(upkeep, testing);
	await configures(upkeep);
}

async function runs({ run }, { VirtualClock }) {
	const clock = new VirtualClock();
	const task = ({ attempt }) => {
		if (attempt < 3) throw new Error("not yet");
		return attempt;
	};
	const result = run(task, { attempts: 3, backoff: 60_000, clock });
	await clock.advance(200_000);
	equal(await result, 3);
}

async function groups({ Group }) {
	const group = new Group();
	const task = group.spawn("answer", () => 42);
	equal(await task.wait(), true);
	equal(task.value, 42);
	await group.stop();
	equal(group.get("answer").state, "stopped");
}

async function shares({ Intermittent }) {
	const controller = new AbortController();
	let stops = 0;
	const intermittent = new Intermittent(() => ({ value: "shared", stop: () => stops++ }));
	equal(await intermittent.attach(controller.signal), "shared");
	equal(intermittent.listeners, 1);
	controller.abort();
	equal(stops, 1);
}

async function polls({ poll }, { VirtualClock }) {
	const clock = new VirtualClock();
	const controller = new AbortController();
	let calls = 0;
	await poll(() => calls++, { interval: 1000, clock }).attach(controller.signal);
	await clock.advance(2500);
	controller.abort();
	await clock.advance(2500);
	equal(calls, 3);
}

async function configures({ Lifecycle }) {
	const seen = [];
	const lifecycle = new Lifecycle((config) => void seen.push(config.port));
	await lifecycle.start();
	equal(await lifecycle.configure('{"port":8080}'), "active");
	await lifecycle.stop();
	equal(seen.join(), "8080");
	equal(lifecycle.state, "inactive");
}

function equal(actual, expected) {
	if (!Object.is(actual, expected)) throw new Error(`${String(actual)} is not ${String(expected)}`);
}
