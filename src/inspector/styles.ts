/**
 * The look of the inspector: one sheet that the element constructs, which a strict Content-Security-Policy allows. Colours come in
 * pairs for light and dark and follow the `color-scheme` of the page; the layout follows the width of the element.
 *
 * @module
 */

/** The rules. */
export const styles = `
:host {
	display: block;
	container-type: inline-size;
	color-scheme: light dark;
	--page: light-dark(#f6f7f9, #121418);
	--card: light-dark(#fff, #1a1d23);
	--line: light-dark(#dde2e8, #2e333c);
	--text: light-dark(#1a1f26, #e5e9ef);
	--quiet: light-dark(#566070, #9aa5b4);
	--accent: light-dark(#1d5dbb, #82b1ff);
	--dead: light-dark(#b3261e, #ff8f86);
	background: var(--page);
	color: var(--text);
	font: 15px/1.45 system-ui, sans-serif;
	font-variant-numeric: tabular-nums;
}
:host([hidden]), [hidden] { display: none !important; }
.hidden { position: absolute; clip-path: inset(50%); }
* { box-sizing: border-box; margin: 0; }
.inspector { padding: 16px; min-width: 0; display: grid; gap: 12px; min-height: 26rem; align-content: start; }
header, .bar, nav, .pages, menu { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 0; }
header > :last-child, .end { margin-inline-start: auto; }
h2 { font-size: 20px; line-height: 1.25; overflow-wrap: anywhere; }
h3 { font-size: 15px; overflow-wrap: anywhere; }
h4 { font-size: 13px; color: var(--quiet); font-weight: 600; margin-bottom: 4px; }
small, .quiet { color: var(--quiet); font-size: 13px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; min-width: 0; }
.link { font-size: 13px; font-weight: 600; }
.link::before { content: "●"; margin-inline-end: 6px; }
.stale { opacity: .6; }
button, input, select, textarea {
	font: inherit; color: inherit; background: var(--card); border: 1px solid light-dark(#8a93a0, #667080);
	border-radius: 7px; padding: 5px 11px; min-height: 34px; min-width: 0;
}
button { cursor: pointer; white-space: nowrap; }
button:hover { border-color: currentcolor; }
button:disabled { cursor: default; opacity: .5; }
.danger { color: var(--dead); }
.main { background: var(--accent); border-color: var(--accent); color: var(--card); font-weight: 600; }
.main.danger { background: var(--dead); border-color: var(--dead); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(86px, 1fr)); gap: 8px; }
.tiles button { text-align: start; padding: 7px 11px; border-color: var(--line); }
.tiles span { display: block; font-size: 13px; color: var(--quiet); }
.tiles b { font-size: 20px; line-height: 1.2; font-weight: 600; }
.tiles [aria-pressed=true] { border-color: currentcolor; box-shadow: inset 0 0 0 1px currentcolor; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(230px, 100%), 1fr)); gap: 8px; }
figure { padding: 9px 12px; }
figcaption { display: flex; gap: 8px; font-size: 13px; color: var(--quiet); }
figcaption b { margin-inline-start: auto; color: var(--text); font-weight: 600; white-space: nowrap; }
svg { display: block; width: 100%; height: 46px; margin-top: 5px; overflow: visible; }
svg path { fill: none; stroke: currentcolor; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
svg .area { fill: currentcolor; stroke: none; opacity: .16; }
svg .bars { fill: currentcolor; stroke: none; opacity: .8; }
svg .floor { stroke: var(--line); }
nav [role=tab] { border-color: transparent; background: none; color: var(--quiet); font-weight: 600; }
nav [aria-selected=true] { color: var(--text); background: var(--card); border-color: var(--line); }
.bar label { display: contents; }
.bar input { flex: 1 1 9rem; }
.figures, [role=tabpanel] { display: grid; gap: 10px; min-width: 0; }
.wide td { vertical-align: middle; }
.wide button { white-space: normal; overflow-wrap: anywhere; text-align: start; }
.wide { padding: 4px 14px; overflow-x: auto; }
.split { display: grid; gap: 12px; align-items: start; }
ol, ul, menu { list-style: none; padding: 0; }
.rows li + li { border-top: 1px solid var(--line); }
.row {
	display: grid; grid-template-columns: 88px minmax(0, 1fr) auto; gap: 0 10px; align-items: center;
	width: 100%; text-align: start; padding: 7px 11px; background: none; border: 0; border-radius: 9px;
}
.row:hover, .row[aria-current=true] { background: color-mix(in srgb, var(--accent) 9%, transparent); }
.row:focus-visible { outline-offset: -2px; }
.row b, .row small { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row b { font-weight: 600; }
.row > small { text-align: end; min-width: 92px; }
.row > span { min-width: 0; }
.row p { display: flex; gap: 0 10px; align-items: baseline; }
.row p > * { flex: 0 4 auto; min-width: 0; }
.row p b { flex-shrink: 1; }
.row.gone { opacity: .5; }
.badge {
	display: inline-block; justify-self: start; font-size: 12px; font-weight: 600; line-height: 20px; padding: 0 8px;
	border-radius: 10px; background: color-mix(in srgb, currentcolor 11%, transparent); white-space: nowrap;
}
.waiting { color: light-dark(#805000, #ecb45a); }
.running { color: var(--accent); }
.held, .reverted { color: light-dark(#6a3fb5, #c0a8ff); }
.dead, .failed, .error, .away { color: var(--dead); }
.done, .completed, .live { color: light-dark(#17693a, #6fd08f); }
.pages { padding: 7px 11px; border-top: 1px solid var(--line); min-height: 49px; }
.empty { padding: 28px 12px; text-align: center; color: var(--quiet); }
.detail { padding: 14px; display: grid; gap: 14px; }
.detail section { min-width: 0; }
.detail header { flex-wrap: nowrap; align-items: start; }
dl { display: grid; grid-template-columns: fit-content(40%) minmax(0, 1fr); gap: 2px 14px; font-size: 14px; }
dt { color: var(--quiet); }
dt, dd, .steps, .error, summary, dialog { overflow-wrap: anywhere; }
pre {
	font: 13px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 22rem; overflow: auto;
	padding: 8px 10px; border-radius: 7px; background: var(--page); border: 1px solid var(--line);
}
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: start; font-weight: 600; font-size: 13px; color: var(--quiet); }
td, th { padding: 6px 10px 6px 0; vertical-align: top; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
tr:first-child > th { border-top: 0; }
th, .detail td:nth-child(-n + 3) { white-space: nowrap; }
.steps > li { display: grid; grid-template-columns: 22px minmax(0, 1fr); padding-bottom: 10px; position: relative; }
.steps > li:not(:last-child)::after { content: ""; position: absolute; inset: 24px auto 0 5px; border-inline-start: 2px solid var(--line); }
.steps i { font-style: normal; font-weight: 700; }
dialog {
	margin: auto; width: min(30rem, 92vw); padding: 18px; color: var(--text); background: var(--card);
	border: 1px solid var(--line); border-radius: 12px;
}
dialog::backdrop { background: rgb(0 0 0 / .45); }
dialog form { display: grid; gap: 12px; }
dialog label { display: grid; gap: 4px; font-size: 13px; color: var(--quiet); }
dialog input { color: var(--text); font-size: 15px; }
textarea { font: 13px/1.5 ui-monospace, monospace; }
.told { position: sticky; bottom: 8px; min-height: 34px; pointer-events: none; }
.told span {
	display: inline-block; padding: 6px 12px; border-radius: 8px; background: var(--text); color: var(--page); overflow-wrap: anywhere;
}
@container (min-width: 860px) {
	.open .split { grid-template-columns: minmax(0, 5fr) minmax(0, 4fr); }
	.detail { position: sticky; top: 8px; max-height: calc(100vh - 16px); overflow: auto; }
}
@container (max-width: 859px) {
	.open .list, .open .figures, .open [role=search] { display: none; }
}
@container (max-width: 700px) {
	.wide tr { display: grid; padding: 8px 0; border-top: 1px solid var(--line); }
	.wide tr:first-child { display: none; }
	.wide tr:nth-child(2) { border: 0; }
	.wide td { display: grid; grid-template-columns: 84px minmax(0, 1fr); align-items: center; justify-items: start; border: 0; padding: 3px 0; }
	.wide td::before { content: attr(data-head); color: var(--quiet); font-size: 13px; }
}
@container (max-width: 460px) {
	.inspector { padding: 10px; }
	.tiles { grid-template-columns: repeat(3, 1fr); }
	figure { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; padding: 5px 11px; }
	figcaption { display: block; }
	figcaption b { display: block; white-space: normal; }
	svg { height: 40px; margin: 0; }
	.bar select { flex: 1 1 9rem; }
	.row { grid-template-columns: minmax(0, 1fr) auto; gap: 3px 10px; }
	.row > .badge { grid-area: 1 / 2; justify-self: end; align-self: start; }
	.row > span:not(.badge) { grid-area: 1 / 1 / 3 / 2; }
	.row > small { grid-area: 2 / 2; align-self: start; }
	.row > span { min-width: 0; }
.row p { display: block; }
}
@media (forced-colors: active) {
	.badge { outline: 1px solid; }
	.row[aria-current=true], [aria-pressed=true], [aria-pressed=true] *, nav [aria-selected=true], .main {
		forced-color-adjust: none; background: Highlight; color: HighlightText;
	}
	.row[aria-current=true] * { color: HighlightText; }
}
`;
