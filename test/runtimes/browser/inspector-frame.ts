// The module of a page with a strict Content-Security-Policy.
import { defineInspector } from "../../../src/inspector/inspector.ts";

const violations: string[] = [];
addEventListener("securitypolicyviolation", ({ violatedDirective }) => violations.push(violatedDirective));
Object.assign(globalThis, { violations });
defineInspector();
