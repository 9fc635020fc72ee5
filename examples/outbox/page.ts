/** The page, as files that a browser can run. */

import { readFile } from "node:fs/promises";
import { describe } from "../shared/words.ts";
import { readModules } from "../shared/modules.ts";

const main = "/examples/outbox/page/main.ts";
const worker = "/examples/outbox/page/service-worker.ts";
const javascript = "text/javascript";

/** Returns `undefined` for paths that are not of the page. The modules are read at the first request for one of them. */
export function createPage(): (request: Request) => Promise<Response | undefined> {
	let reading: Promise<ReadonlyMap<string, string>> | undefined;
	const readAll = () => reading ??= readModules(main, worker);
	const files: Record<string, () => Response | Promise<Response>> = {
		"/": async () => answer(await readFile(path("index.html")), "text/html"),
		"/icon.svg": async () => answer(await readFile(path("icon.svg")), "image/svg+xml"),
		// The path of a service worker's script determines which pages it controls.
		"/main.js": () => answer(`import "${main}";\n`, javascript),
		"/service-worker.js": () => answer(`import "${worker}";\n`, javascript),
		// All files that the page needs while the server is away.
		"/files.json": async () => {
			const names = ["/", "/icon.svg", "/main.js", ...(await readAll()).keys()];
			return answer(JSON.stringify(names), "application/json");
		},
	};
	const find = async (name: string): Promise<Response | undefined> => {
		if (!name.endsWith(".ts")) return await files[name]?.();
		const code = (await readAll()).get(name);
		return code === undefined ? undefined : answer(code, javascript);
	};
	return async ({ method, url }) => {
		try {
			const found = await find(new URL(url).pathname);
			if (found === undefined || method === "GET") return found;
			if (method === "HEAD") return new Response(null, found);
			return new Response("The page is read-only\n", { status: 405, headers: { allow: "GET, HEAD" } });
		} catch (error) {
			reading = undefined; // the file may be repaired before the next request
			return new Response(`${describe(error)}\n`, { status: 500 });
		}
	};
}

function answer(body: string | Uint8Array<ArrayBuffer>, type: string): Response {
	const policy = "default-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'";
	const headers = { "content-type": `${type}; charset=utf-8`, "cache-control": "no-cache" };
	return new Response(body, { headers: { ...headers, "content-security-policy": policy } });
}

function path(name: string): URL {
	return new URL(`page/${name}`, import.meta.url);
}
