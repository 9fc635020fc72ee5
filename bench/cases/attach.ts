// Attach and detach while another listener keeps the operation running. The loop awaits nothing. All aborts share one
// reason, because an abort without a reason creates an error, which costs more than everything else.
import { atom, onMount } from "nanostores";
import { Observable, share } from "rxjs";
import { Intermittent } from "upkeep";
import { expect, time, type Work } from "../measure.ts";

const reason = new Error("detached");
const perSignal = 1_000;
let calls = 0;
const listener = (): void => void calls++;

await time({
	"rxjs share": { setUp: rxjsShare },
	"nanostores onMount": { setUp: nanostoresOnMount },
	"Intermittent, 1,000 attaches to a signal": { batch: perSignal, setUp: attachMany },
	"Intermittent, a controller each": { setUp: attachOne },
	"bare controller, listener and abort": { setUp: bareController },
});

function rxjsShare(): Work {
	const shared = new Observable<number>(() => {}).pipe(share());
	shared.subscribe(listener);
	return repeated(() => shared.subscribe(listener).unsubscribe());
}

function nanostoresOnMount(): Work {
	const store = atom(0);
	onMount(store, () => {});
	store.listen(listener);
	return repeated(() => store.listen(listener)());
}

async function attachMany(): Promise<Work> {
	const intermittent = await held();
	return (count: number): void => {
		for (let done = 0; done < count; done += perSignal) {
			const controller = new AbortController();
			for (let i = 0; i < perSignal; i++) void intermittent.attach(controller.signal);
			expect(intermittent.listeners, 1 + perSignal);
			controller.abort(reason);
			expect(intermittent.listeners, 1);
		}
	};
}

async function attachOne(): Promise<Work> {
	const intermittent = await held();
	return repeated(() => {
		const controller = new AbortController();
		void intermittent.attach(controller.signal);
		controller.abort(reason);
	});
}

function bareController(): Work {
	return repeated(() => {
		const controller = new AbortController();
		controller.signal.addEventListener("abort", listener, { once: true });
		controller.abort(reason);
	});
}

async function held(): Promise<Intermittent> {
	const intermittent = new Intermittent(() => {});
	await intermittent.attach(new AbortController().signal);
	return intermittent;
}

function repeated(operation: () => void): Work {
	return (count: number): void => {
		for (let i = 0; i < count; i++) operation();
	};
}
