// Patterns with much to do at night, when clocks change.

const minutes = ["0", "30", "15,45", "*", "*/15", "1", "59", "0-59", "29,30,31", "*/7", "5-55/10"];
const hours = ["*", "2", "0", "1-3", "*/2", "23", "0-23/3", "0,1,2,3", "3", "*/5", "1", "12"];
const days = [
	...["* * *", "* * SUN", "* * *", "? * SAT", "* * *", "25-31 * *", "* * SUN#L,SUN#1,FRI", "* * *", "L,1 * MON"],
	...["1-31/2 * +SUN", "* MAR,APR,SEP-NOV *", "LW * SUN", "*/2 * 0,4,6"],
];

const times: string[] = minutes.flatMap((minute) => hours.map((hour) => `${minute} ${hour}`));
const all: string[] = Array.from(
	{ length: 300 },
	(_, i) => `${times[i % times.length]} ${days[(i * 5 + 2) % days.length]}`,
);

/** Two hundred different ones: each time of the day, some of them with several days. */
export const patterns: readonly string[] = [...new Set(all)].slice(0, 200);
