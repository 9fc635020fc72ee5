// The browsers that the suite runs in: where each one is found on this machine, and how it is started on a page.
import { accessSync, constants, globSync, writeFileSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import process from "node:process";

/** Every browser has its own folder of `instances` in vitest.config.ts and its own line in the results. */
export type BrowserName = "chromium" | "firefox" | "webkit";

export interface Browser {
	/** The environment variable that names the executable, where it is not one of the usual names. */
	variable: string;
	/** Names looked for along PATH; the first one found is used. */
	names: readonly string[];
	/** Whether it has no headless mode, so that it needs an X server to show its window on. */
	windowed: boolean;
	/** The command that opens `url` with everything it stores under `folder`. */
	command: (executable: string, folder: string, url: string) => string[];
}

export const browsers: Record<BrowserName, Browser> = {
	chromium: {
		variable: "CHROMIUM",
		names: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
		windowed: false,
		command: (executable, folder, url) => [executable, ...chromiumFlags, `--user-data-dir=${folder}`, url],
	},
	firefox: {
		variable: "FIREFOX",
		names: ["firefox-esr", "firefox"],
		windowed: false,
		command: (executable, folder, url) => {
			writeFileSync(join(folder, "user.js"), firefoxPreferences());
			return [executable, "--headless", "--no-remote", "--profile", folder, url];
		},
	},
	webkit: {
		variable: "MINIBROWSER",
		names: globSync("/usr/{lib,libexec}/{,*/}webkit2gtk-4.1/MiniBrowser"),
		windowed: true,
		command: (executable, _folder, url) => [executable, url],
	},
};

/** The X server for a browser without a headless mode; it writes the number of its display to descriptor 3. */
export const displayServer: readonly string[] = [
	"Xvfb",
	"-displayfd",
	"3",
	"-nolisten",
	"tcp",
	"-screen",
	"0",
	"1280x720x24",
];

/** The executable of a browser, or undefined if this machine has none or lacks the X server that it takes. */
export function findBrowser(name: BrowserName): string | undefined {
	const { variable, names, windowed } = browsers[name];
	const chosen = process.env[variable];
	const executable = (chosen ? [chosen] : names).map(findExecutable).find((path) => path !== undefined);
	return windowed && findExecutable(displayServer[0]!) === undefined ? undefined : executable;
}

function findExecutable(name: string): string | undefined {
	const folders = isAbsolute(name) ? [""] : (process.env["PATH"] ?? "").split(delimiter);
	return folders.map((folder) => folder === "" ? name : join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
	try {
		accessSync(path, constants.X_OK);
		return true;
	} catch {
		return false;
	}
}

// A page that nobody looks at must still run its timers at full speed, and must not call home.
const chromiumFlags: readonly string[] = [
	"--headless",
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--disable-dev-shm-usage",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
	"--disable-background-timer-throttling",
	"--disable-backgrounding-occluded-windows",
	"--disable-renderer-backgrounding",
];

function firefoxPreferences(): string {
	const preferences: Record<string, string | number | boolean> = {
		"app.update.enabled": false,
		"browser.shell.checkDefaultBrowser": false,
		"browser.startup.homepage_override.mstone": "ignore",
		"datareporting.policy.dataSubmissionEnabled": false,
		"dom.min_background_timeout_value": 4,
		"network.captive-portal-service.enabled": false,
		"network.connectivity-service.enabled": false,
		"services.settings.server": "data:,",
		"toolkit.telemetry.enabled": false,
	};
	const lines = Object.entries(preferences).map((entry) => `user_pref(${entry.map((part) => JSON.stringify(part))});`);
	return lines.join("\n");
}
