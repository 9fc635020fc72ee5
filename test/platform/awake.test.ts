import { expect, test, vi } from "vitest";
import { sleep } from "../../mod.ts";
import { listen, onAwake } from "../../src/platform/awake.ts";
import { FakeScope, replace } from "../browser/browser-fakes.ts";

test("onAwake() calls back when a browser's page may have slept, until it is ended", () => {
	const scope = new FakeScope();
	const listener = vi.fn();
	const [stop, stopOther] = [onAwake(listener), onAwake(() => {})];
	for (const type of ["visibilitychange", "resume", "pageshow", "online", "offline"]) scope.dispatch(type);
	expect(listener).toHaveBeenCalledTimes(4);
	stop();
	stop();
	expect(scope.listened.length).toBe(4);
	scope.dispatch("online");
	expect(listener).toHaveBeenCalledTimes(4);
	stopOther();
	expect(scope.listened).toEqual([]);
});

test("listen() leaves alone what is no browser: workerd refuses such listeners", () => {
	const scope = new FakeScope();
	replace(globalThis.navigator, "onLine", undefined);
	const stop = listen(["online"], () => {});
	expect(scope.listened).toEqual([]);
	stop();
});

test("listen() takes a navigator without events, of a test or a polyfill, for no browser, and clocks go on", async () => {
	const scope = new FakeScope();
	replace(globalThis, "addEventListener", undefined);
	const stop = listen(["online"], () => {});
	await sleep(1);
	await sleep(1);
	expect(scope.listened).toEqual([]);
	stop();
});

test("listen() ends where what imitated a browser is gone already", () => {
	new FakeScope();
	const stop = listen(["online"], () => {});
	replace(globalThis, "removeEventListener", undefined);
	stop();
});
