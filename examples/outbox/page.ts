/** The page, as files that a browser can run. */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe } from "../shared/words.ts";

/** Answers if it is about the page. The modules are bundled when they are first asked for. */
export function createPage(): (request: Request) => Promise<Response | undefined> {
	const scripts = new Map<string, string>();
	const script = async (name: string) => {
		if (!scripts.has(name)) scripts.set(name, await bundle(name));
		return answer(scripts.get(name)!, "text/javascript");
	};
	const files: Record<string, () => Promise<Response>> = {
		"/": async () => answer(await readFile(path("index.html")), "text/html"),
		"/icon.svg": async () => answer(await readFile(path("icon.svg")), "image/svg+xml"),
		"/main.js": () => script("main.ts"),
		"/service-worker.js": () => script("service-worker.ts"),
	};
	return async ({ method, url }) => {
		const file = method === "GET" ? files[new URL(url).pathname] : undefined;
		return await file?.().catch((error) => new Response(`${describe(error)}\n`, { status: 500 }));
	};
}

function answer(body: string | Uint8Array<ArrayBuffer>, type: string): Response {
	const policy = "default-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'";
	const headers = { "content-type": `${type}; charset=utf-8`, "cache-control": "no-cache" };
	return new Response(body, { headers: { ...headers, "content-security-policy": policy } });
}

/** One file of a module and all that it imports. */
async function bundle(name: string): Promise<string> {
	const { build } = await import("esbuild"); // the messages do without it
	const { outputFiles: [file] } = await build({
		entryPoints: [path(name)],
		bundle: true,
		format: "esm",
		target: "es2022",
		write: false,
		logLevel: "silent",
	});
	return file!.text;
}

function path(name: string): string {
	return fileURLToPath(new URL(`page/${name}`, import.meta.url));
}
