/** An inspector on a page of its own, with the data behind it. For this machine only: everybody who can open it may change everything. */

import { basketHandler, type Inspectable, type Meter } from "../../src/http/http.ts"; // elsewhere: from "upkeep/http"
import { readModules } from "./modules.ts";
import { whyForeign } from "./own-request.ts";

const element = "/src/inspector/inspector.ts"; // elsewhere: a bundle with "upkeep/inspector"

const headers = {
	"cache-control": "no-cache",
	"content-security-policy": "default-src 'self'; require-trusted-types-for 'script'; frame-ancestors 'none'",
};

const html = `<!DOCTYPE html>
<html lang="en">
	<head>
		<meta charset="utf-8">
		<meta name="viewport" content="width=device-width, initial-scale=1">
		<title>Inspector</title>
		<link rel="icon" href="/inspector.svg">
		<link rel="stylesheet" href="/inspector.css">
		<script type="module" src="/inspector.js"></script>
	</head>
	<body>
		<upkeep-inspector src="/upkeep"></upkeep-inspector>
		<noscript>This page needs JavaScript.</noscript>
	</body>
</html>
`;

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
	<rect width="16" height="16" rx="4" fill="#1d5dbb"/>
	<path d="M4 5h8M4 8h8M4 11h5" stroke="#fff" stroke-width="1.5" stroke-linecap="round"/>
</svg>
`;

const files: Readonly<Record<string, readonly [text: string, type: string]>> = {
	"/inspector": [html, "text/html"],
	"/inspector.css": [":root { color-scheme: light dark } body { margin: 0 }", "text/css"],
	"/inspector.svg": [icon, "image/svg+xml"],
	"/inspector.js": [`import { defineInspector } from "${element}";\ndefineInspector();\n`, "text/javascript"],
};

/** Serves `/inspector` and what it needs; returns `undefined` for other paths. */
export function createInspector(
	inspectable: Inspectable,
	meter?: Meter,
): (request: Request) => Promise<Response | undefined> {
	const handler = basketHandler(inspectable, {
		meter,
		authorize: (request) => whyForeign(request) === undefined && "all",
	});
	let reading: Promise<ReadonlyMap<string, string>> | undefined;
	return async (request) => {
		const { pathname } = new URL(request.url);
		if (pathname === "/upkeep" || pathname.startsWith("/upkeep/")) return await handler(request);
		if (request.method !== "GET") return undefined;
		if (pathname.startsWith("/src/")) {
			const code = (await (reading ??= readModules(element))).get(pathname);
			return code === undefined ? undefined : answer(code, "text/javascript");
		}
		const file = files[pathname];
		return file && answer(...file);
	};
}

function answer(text: string, type: string): Response {
	return new Response(text, { headers: { ...headers, "content-type": `${type}; charset=utf-8` } });
}
