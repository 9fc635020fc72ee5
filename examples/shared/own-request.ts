/** For servers on this machine: which requests are not of their own page, and not of a program. */

/** Why a request is refused: its page is of another origin, or its host name is foreign (DNS rebinding). */
export function whyForeign({ headers }: Request): string | undefined {
	const host = headers.get("host") ?? "";
	if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)) return `This is not ${host}`;
	const site = headers.get("sec-fetch-site");
	const isOwn = site === null || site === "same-origin" || site === "none"; // none: the user has typed the address
	if (!isOwn) return "Pages of other origins may not send requests";
	const origin = headers.get("origin");
	return origin === null || origin === `http://${host}` ? undefined : `Nothing is accepted from ${origin}`;
}
