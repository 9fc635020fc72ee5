// What the examples of the documentation find at https://api.example.com, so that they show real addresses and need no
// network. A block that names this host gets this module as its first import.
const host = "api.example.com";

const real: typeof fetch = globalThis.fetch;

/** Answers requests to the host of the examples; all others go where they went before. */
globalThis.fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
	const url: URL = new URL(input instanceof Request ? input.url : input);
	if (url.host !== host) return await real(input, init);
	const request: Request = new Request(input, init);
	request.signal.throwIfAborted();
	return answer(request.method, url.pathname);
};

/** A user by name, or what a service says that takes what it is sent. */
function answer(method: string, path: string): Response {
	const user: string | undefined = /^\/users\/(\w+)$/.exec(path)?.[1];
	if (method !== "GET") return Response.json({ accepted: true }, { status: 202 });
	if (user === "nobody") return new Response("There is no such user", { status: 404 });
	return Response.json(user === undefined ? { up: true } : { name: user[0]!.toUpperCase() + user.slice(1) });
}
