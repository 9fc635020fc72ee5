// Detection of lost notifications by postgresStore(), with a fake connection.
import { expect, test } from "vitest";
import { Watch } from "../../../../src/stores/postgres/watch.ts";

const interval = 10;
const short = { quiet: 2, echo: 10 };
const long = { quiet: 1_000_000, echo: 1_000_000 };

class Line {
	readonly watch: Watch;
	readonly stop: () => void;
	/** Whether messages arrive. */
	isGood = true;
	listening = 0;
	begun = 0;
	asked = 0;
	onMessage: (message: string) => void = () => {};
	onEnd: (error: unknown) => void = () => {};
	errors: unknown[] = [];
	woken = 0;

	constructor(given: typeof short) {
		const listen = (_channel: string, onMessage: Line["onMessage"], onEnd: Line["onEnd"]) => {
			Object.assign(this, { onMessage, onEnd });
			this.listening++;
			this.begun++;
			return Promise.resolve(() => void this.listening--);
		};
		const tell = (message: string) => {
			this.asked++;
			if (this.isGood) setTimeout(() => this.onMessage(message));
			return Promise.resolve();
		};
		this.watch = new Watch(listen, tell, "channel", interval, given);
		this.stop = this.watch.add("basket", () => this.woken++, (error) => this.errors.push(error));
	}
}

function sleep(duration: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, duration));
}

async function until(isSo: () => boolean): Promise<void> {
	for (let round = 0; !isSo(); round++) {
		if (round > 1_000) throw new Error("It has not come to pass in 5 s");
		await sleep(5);
	}
}

test("Watch asks for an echo now and then, and is content with it", async () => {
	const line = new Line(short);
	await until(() => line.asked > 3);
	expect([line.begun, line.errors]).toEqual([1, []]);
	line.stop();
	await until(() => line.listening === 0);
});

test("Watch that hears nothing says so once, looks for itself, and listens again until it hears something", async () => {
	const line = new Line(short);
	await until(() => line.asked > 0);
	line.isGood = false;
	await until(() => line.begun > 2);
	expect(line.errors).toHaveLength(1);
	const before = line.woken;
	await until(() => line.woken > before + 2);
	line.isGood = true;
	const asked = line.asked;
	await until(() => line.asked > asked + 3);
	expect([line.listening, line.errors.length]).toEqual([1, 1]);
	line.stop();
	await until(() => line.listening === 0);
});

test("Watch listens again when the connection ends, and wakes for what may have come meanwhile", async () => {
	const line = new Line(long);
	await until(() => line.woken > 0);
	const before = line.woken;
	line.onEnd(new Error("lost"));
	await until(() => line.begun > 1 && line.woken > before);
	expect(line.errors).toHaveLength(1);
	line.stop();
	await until(() => line.listening === 0);
});

test("Watch tells each basket at a pace, the first and the last time of many", async () => {
	const line = new Line(long);
	await until(() => line.asked === 1);
	for (let count = 0; count < 100; count++) line.watch.tell("other");
	expect(line.asked).toBe(2);
	await until(() => line.asked > 2);
	await sleep(60);
	expect(line.asked).toBeLessThan(8);
	line.stop();
});

test("Watch wakes for its own basket only, however long the name", async () => {
	const line = new Line(long);
	const name = "x".repeat(2_000);
	let woken = 0;
	const stop = line.watch.add(name, () => woken++, () => {});
	await until(() => line.woken > 0);
	const before = [line.woken, woken];
	line.onMessage(":basket 2");
	line.onMessage("");
	expect([line.woken, woken]).toEqual(before);
	line.onMessage(`:${name.slice(0, 1000)}`);
	expect([line.woken, woken]).toEqual([before[0], before[1]! + 1]);
	stop();
	line.stop();
});
