import { createRoot } from "react-dom/client";
import { backgroundSync, leader, online, visible } from "upkeep/browser";
import { App } from "./App.tsx";
import { openOutbox } from "./outbox.ts";
import { session } from "./session.ts";

// One tab at a time sends; every tab adds and shows.
const outbox = openOutbox({ gate: [leader("notes"), session], wake: [online(), visible()] });
createRoot(document.getElementById("root")!).render(<App outbox={outbox} />);
outbox.run().catch((error) => alert(`This browser cannot store notes: ${error.message}`));

if ("serviceWorker" in navigator && import.meta.env.PROD) {
	await navigator.serviceWorker.register("/service-worker.js", { type: "module" });
	backgroundSync(outbox, await navigator.serviceWorker.ready);
}
