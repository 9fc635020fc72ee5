// `npm run spread`: works off a million tasks over four Postgres servers, lets one of them crash meanwhile, and checks that
// nothing is lost. The test suite does the same with fewer tasks.
//
//     npm run spread
//     npm run spread -- --tasks 100000 --databases 2 --lease 2000 --away 10000
import process from "node:process";
import { parseArgs } from "node:util";
import { spread } from "../test/kills/spread.ts";

const { values } = parseArgs({
	options: {
		tasks: { type: "string", default: "1000000" },
		databases: { type: "string", default: "4" },
		lease: { type: "string", default: "5000" },
		away: { type: "string", default: "12000" },
	},
});
const [tasks, databases, lease, away] = [values.tasks, values.databases, values.lease, values.away].map(Number) as [
	number,
	number,
	number,
	number,
];
const report = await spread({
	tasks,
	databases,
	lease,
	away,
	limit: 600_000,
	onProgress: (done) => console.log(done.map((count) => String(count).padStart(9)).join("")),
});
console.log(`${tasks} tasks over ${databases} databases in ${(report.duration / 1000).toFixed(1)} s`);
console.log(`one was away for ${(report.away / 1000).toFixed(1)} s; meanwhile the others began ${report.meanwhile}`);
console.log(
	`lost ${report.lost}, left ${report.left}, run again ${report.again}, reported errors ${report.complaints}`,
);
process.exit(report.lost + report.left > 0 || report.meanwhile === 0 ? 1 : 0);
