// Uses the package in a Worker of workerd, whose `test` command calls this.
import * as upkeep from "upkeep";
import * as testing from "upkeep/testing";
import { program } from "./program.js";

const succeedLate = ({ attempt }) => {
	if (attempt < 3) throw new Error("not yet");
	return attempt;
};

export default {
	/** One request goes on in the background and is over before its time; the other waits for its own run. */
	async fetch(request) {
		const result = upkeep.run(succeedLate, { attempts: 3, backoff: 50 });
		return new Response(request.url.endsWith("/wait") ? await result : "left");
	},
	async test(_controller, { self }) {
		await program(upkeep, testing);
		// A timer ends with the request that made it: the second request must not depend on one of the first.
		await (await self.fetch("http://self/leave")).text();
		const value = await (await self.fetch("http://self/wait")).text();
		if (value !== "3") throw new Error(`The second request got ${value}`);
	},
};
