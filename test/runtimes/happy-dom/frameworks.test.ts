// React and Vue render into a document. Of the engines that can resolve their packages, only happy-dom has one. The
// test reads the one-liners from the README.
import { readFileSync } from "node:fs";
import { act, createElement, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { readable } from "svelte/store";
import { describe, expect, test } from "vitest";
import { effectScope, onScopeDispose, shallowRef, watchEffect } from "vue";
import { Group, type GroupTaskSnapshot } from "../../../mod.ts";

const names = { useSyncExternalStore, readable, onScopeDispose, shallowRef };

type Tasks = readonly GroupTaskSnapshot[];

/** Returns the line of the guide for a framework as a function of the group. The lines are plain JavaScript. */
function fromGuide<T>(name: string, group: Group): T {
	const guide = readFileSync("docs/frameworks.md", "utf8");
	const code = guide.match(new RegExp(`^export const ${name} = ((?:.|\\n\\t|\\n\\})*);(?: // \\w+)?$`, "m"))![1];
	return new Function(...Object.keys(names), "group", `return ${code}`)(...Object.values(names), group);
}

const show = (tasks: Tasks): string => tasks.map(({ name, state }) => `${name} ${state}`).join();

async function spawnAndWait(group: Group): Promise<void> {
	await group.spawn("a", () => 1).wait();
}

describe("the guide's one-liner for", () => {
	test("React renders each change", async () => {
		Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
		const group = new Group();
		const useTasks = fromGuide<() => Tasks>("useTasks", group);
		const element = document.createElement("div");
		const root = createRoot(element);
		await act(() => root.render(createElement(() => show(useTasks()))));
		expect(element.textContent).toBe("");
		await act(() => spawnAndWait(group));
		expect(element.textContent).toBe("a stopped");
		await act(() => root.unmount());
	});

	test("Svelte sets its store at each change", async () => {
		const group = new Group();
		const seen: string[] = [];
		const tasks = fromGuide<ReturnType<typeof readable<Tasks>>>("tasks", group);
		const unsubscribe = tasks.subscribe((value) => seen.push(show(value)));
		await spawnAndWait(group);
		unsubscribe();
		expect(seen).toEqual(["", "a pending", "a running", "a stopped"]);
	});

	test("Vue updates its ref at each change, until the scope ends", async () => {
		const group = new Group();
		const seen: string[] = [];
		const scope = effectScope();
		scope.run(() => {
			const tasks = fromGuide<() => { value: Tasks }>("useTasksInVue", group)();
			watchEffect(() => void seen.push(show(tasks.value)), { flush: "sync" });
		});
		await spawnAndWait(group);
		scope.stop();
		group.delete("a");
		expect(seen).toEqual(["", "a pending", "a running", "a stopped"]);
	});
});
