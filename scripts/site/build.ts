// Builds the site with TypeDoc. Whatever TypeDoc warns about (a link that leads nowhere, a type that is not exported) is a
// failure, and so is a broken link in the written pages.
import { globSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { Application, type DocumentReflection, LogLevel, type ProjectReflection, type TypeDocOptions } from "typedoc";
import { type EntryPoint, entryPoints, readPackage } from "../project.ts";
import { checkLinks } from "./links.ts";

/** What was built. */
export interface Site {
	/** The number of HTML pages. */
	pages: number;
	/** The number of links that lead to a page or a file of the site. */
	links: number;
}

/** The guides in the order in which somebody reads them. Others that are in docs/ follow. */
const order: string[] = [
	"first-outbox",
	"worker",
	"tasks",
	"schedules",
	"limits",
	"batches",
	"jobs",
	"changes",
	"postgres",
	"scale",
	"operating",
	"command-line",
	"inspector",
	"observing",
	"testing",
	"stores",
	"coming-from",
	"comparison",
	"decisions",
];

/** Builds the site into the folder, and rejects with all faults. */
export async function buildSite(folder: string): Promise<Site> {
	const faults: string[] = [];
	const application: Application = await Application.bootstrap(options(folder));
	application.logger.level = LogLevel.None;
	const log = application.logger.log.bind(application.logger);
	application.logger.log = (message: string, level: LogLevel): void => {
		if (level >= LogLevel.Warn) faults.push(message);
		log(message, level);
	};
	const project: ProjectReflection | undefined = await application.convert();
	if (project === undefined) throw new Error(faults.join("\n"));
	nameModules(project);
	application.validate(project);
	rmSync(folder, { recursive: true, force: true });
	await application.generateDocs(project, folder);
	const site = checkLinks(folder);
	faults.push(...site.faults);
	if (faults.length > 0) throw new Error(faults.join("\n"));
	return site;
}

function guides(): string[] {
	const place = (file: string): number => (order.indexOf(basename(file, ".md")) + 1) || Infinity;
	return globSync("docs/*.md").sort().sort((a: string, b: string) =>
		place(a) < place(b) ? -1 : Number(place(a) > place(b))
	);
}

function options(folder: string): TypeDocOptions {
	return {
		name: readPackage().name,
		out: folder,
		entryPoints: entryPoints().map(({ source }: EntryPoint) => source),
		projectDocuments: [...guides(), "CHANGELOG.md", "CONTRIBUTING.md"],
		readme: "README.md",
		customCss: "scripts/site/site.css",
		tsconfig: "tsconfig.json",
		skipErrorChecking: true, // `npm run check -- types` does this
		excludePrivate: true,
		excludeInternal: true,
		disableGit: true,
		disableSources: true,
		githubPages: false,
		includeVersion: true,
		searchInComments: true,
		searchInDocuments: true,
		sort: ["kind", "instance-first", "alphabetical-ignoring-documents"],
		includeHierarchySummary: false,
		highlightLanguages: ["bash", "css", "html", "json", "mermaid", "sql", "tsx", "typescript"],
		validation: { notExported: true, invalidLink: true, rewrittenLink: true, notDocumented: false },
	};
}

/** Calls the modules by the names that users import, and the written pages by their titles. */
function nameModules(project: ProjectReflection): void {
	const names: Map<string, string> = new Map(
		entryPoints().map(({ source, specifier }: EntryPoint) => [source.replace(/^\.\/|(?:\.ts)$/g, ""), specifier]),
	);
	for (const module of project.children ?? []) {
		module.name = names.get(module.name) ?? names.get(`src/${module.name}`) ?? module.name;
	}
	for (const page of project.documents ?? []) page.name = titleOf(page) ?? page.name;
}

/** The first heading of the page. */
function titleOf({ content: [first] }: DocumentReflection): string | undefined {
	const title: string | undefined = /^\s*# (.+)\n/.exec(first?.text ?? "")?.[1];
	return title?.replaceAll("`", "");
}
