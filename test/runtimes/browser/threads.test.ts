// Real threads in browsers. test/threads/threads.test.ts has the tests that need no thread.
import { testThreads } from "../../threads/threads-suite.ts";

const blobUrl = (code: string) => URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
/** Bundlers recognize this form. Vite compiles the module and its imports. */
const start = () => new Worker(new URL("../../fixtures/thread.ts", import.meta.url), { type: "module" });

testThreads("threads of a Worker that a bundler knows of", start, blobUrl);
