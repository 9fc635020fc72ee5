// Real threads in Node, Deno and Bun; test/threads.test.ts has what needs none.
import { testThreads } from "../../threads-suite.ts";

const fixture = new URL("../../fixtures/thread.ts", import.meta.url);
const dataUrl = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;

testThreads("threads of a URL", fixture, dataUrl);
