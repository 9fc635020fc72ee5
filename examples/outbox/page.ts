/** The page, as files that a browser can run. */

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Handler } from "../shared/serve.ts";

/** Answers if it is about the page. The modules are bundled when they are first asked for. */
export function createPage(): (request: Request) => Promise<Response | undefined> {
	const scripts = new Map<string, Promise<string>>();
	const script = (name: string) => {
		if (!scripts.has(name)) scripts.set(name, bundle(name));
		return scripts.get(name)!;
	};
	const files: Record<string, Handler> = {
		"/": async () => answer(await readFile(path("index.html")), "text/html"),
		"/icon.svg": async () => answer(await readFile(path("icon.svg")), "image/svg+xml"),
		"/main.js": async () => answer(await script("main.ts"), "text/javascript"),
		"/service-worker.js": async () => answer(await script("service-worker.ts"), "text/javascript"),
	};
	return async (request) => {
		const file = request.method === "GET" ? files[new URL(request.url).pathname] : undefined;
		return await file?.(request);
	};
}

function answer(body: string | Uint8Array<ArrayBuffer>, type: string): Response {
	const policy = "default-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'";
	const headers = { "content-type": `${type}; charset=utf-8`, "cache-control": "no-cache" };
	return new Response(body, { headers: { ...headers, "content-security-policy": policy } });
}

/** One file of a module and all that it imports. */
async function bundle(name: string): Promise<string> {
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
