// Uses the package's types as a strict project would. scripts/consume.ts compiles it under each module resolution.
import { Group, Intermittent, Lifecycle, poll, run } from "upkeep";
import { VirtualClock } from "upkeep/testing";

interface Config {
	port: number;
}

export async function typed(signal?: AbortSignal): Promise<number> {
	const clock = new VirtualClock();
	const value: number = await run(({ attempt }) => attempt, { attempts: 2, backoff: 10, signal, clock });
	const text: string | undefined = new Group({ signal }).spawn("name", () => "text").value;
	const listener = new AbortController();
	const shared: Date = await new Intermittent(() => ({ value: new Date(), stop: () => {} })).attach(listener.signal);
	await poll((signal: AbortSignal) => fetch("/", { signal }), { interval: 10 }).attach(listener.signal);
	const lifecycle = new Lifecycle<Config>(({ port }: Config) => void port.toFixed());
	const state: "inactive" | "loading" | "active" | "error" = lifecycle.state;
	return value + (text?.length ?? 0) + shared.getTime() + state.length;
}

// @ts-expect-error -- a task is a function
void run("no task");
