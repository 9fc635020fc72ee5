// A store whose answers take real time, in virtual time. The clock waits until no call is pending. Calls run one
// after the other, and this wrapper sends the wake-ups, because a seed would not be reproducible with the real order
// of answers or with notifications of the store.
import type { Store, WakeReason } from "../../mod.ts";
import { soon } from "../../src/platform/soon.ts";
import type { PatientClock } from "./patient-clock.ts";

const members = "open add turn complete extend save log get list counts delete change pause pauses hasten post".split(
	" ",
);

export function patientStore(
	inner: Store<never>,
	clock: PatientClock,
	wakes: Set<(reason?: WakeReason) => void> = new Set(),
): Store<never> {
	const all = inner as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
	let last: Promise<unknown> = Promise.resolve();
	const call = (member: string) => (...args: unknown[]): Promise<unknown> =>
		clock.during(async () => {
			const answer = last.then(() => all[member]!(...args));
			// The receiver of an answer first handles all of its consequences, because the platform may or may not
			// answer the next call at once.
			last = answer.catch(() => {}).then(() => new Promise<void>(soon));
			const result = await answer;
			// The wrapper does not know whether the task was running.
			const reason = member === "delete" || member === "post" ? "claims" : undefined;
			if (isChange(member, args)) { for (const wake of wakes) wake(reason); }
			return result;
		});
	return {
		capabilities: inner.capabilities,
		...Object.fromEntries(members.map((member) => [member, call(member)])),
		watch: (_: string, wake: (reason?: WakeReason) => void) => {
			wakes.add(wake);
			return () => void wakes.delete(wake);
		},
	} as unknown as Store<never>;
}

/** Makes the random values of the platform depend on the seed. Returns a function that restores them. */
export function seedCrypto(): () => void {
	const { crypto } = globalThis;
	const { randomUUID, getRandomValues } = crypto;
	const hex = (digits: number) =>
		Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join("");
	let count = 0;
	// Math.random() returns few different values in a simulation, but UUIDs must be unique.
	crypto.randomUUID = () =>
		`${(++count).toString(16).padStart(8, "0")}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}` as const;
	crypto.getRandomValues = <T extends ArrayBufferView | null>(array: T): T => {
		if (array instanceof Uint32Array) array.forEach((_, index) => array[index] = ++count);
		return array;
	};
	return () => Object.assign(crypto, { randomUUID, getRandomValues });
}

function isChange(member: string, args: readonly unknown[]): boolean {
	const { settle = [] } = Object(args[1]) as { settle?: readonly unknown[] };
	return member === "turn" ? settle.length > 0 : ["add", "delete", "change", "pause", "post"].includes(member);
}
