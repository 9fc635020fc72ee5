// Real threads in browsers; test/threads/threads.test.ts has what needs none.
import { testThreads } from "../../threads/threads-suite.ts";

const blobUrl = (code: string) => URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
/** The form that bundlers recognize: Vite compiles the module, and what that imports. */
const start = () => new Worker(new URL("../../fixtures/thread.ts", import.meta.url), { type: "module" });

testThreads("threads of a Worker that a bundler knows of", start, blobUrl);
