// Uses the package through `require`.
const upkeep = require("upkeep");
const testing = require("upkeep/testing");

import("./program.js").then(({ program }) => program(upkeep, testing));
