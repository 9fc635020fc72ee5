import { defineConfig } from "vite";

export default defineConfig({
	build: {
		manifest: "files.json", // which the service worker reads
		rolldownOptions: {
			input: ["index.html", "src/service-worker.ts"],
			// The path of a service worker is its identity, so it has no hash.
			output: { entryFileNames: ({ name }) => name === "service-worker" ? "[name].js" : "assets/[name]-[hash].js" },
		},
	},
	server: { proxy: { "/api": "http://127.0.0.1:3000" } },
});
