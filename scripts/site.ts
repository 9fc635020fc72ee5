// `npm run site`: builds the documentation site into site/ from the guides, the README, the CHANGELOG and the doc comments.
// The site needs no server and no network: open site/index.html.
//
//     npm run site                     into site/
//     npm run site -- /tmp/upkeep      into another folder
import process from "node:process";
import { buildSite } from "./site/build.ts";

const folder: string = process.argv[2] ?? "site";
const start: number = performance.now();
const { pages, links } = await buildSite(folder);
const seconds: string = ((performance.now() - start) / 1000).toFixed(1);
console.log(`${folder}/index.html: ${pages} pages, ${links} links, ${seconds} s`);
