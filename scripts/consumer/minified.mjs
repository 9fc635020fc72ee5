// Uses the minified core by its path, as a page without a bundler does.
import { Group, run } from "./upkeep.min.js";

const group = new Group();
const task = group.spawn("minified", () => run(() => 42));
if (!await task.wait() || task.value !== 42) throw new Error("the minified core does not work");
