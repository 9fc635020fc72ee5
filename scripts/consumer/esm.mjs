// Uses the package through `import`.
import * as upkeep from "upkeep";
import * as testing from "upkeep/testing";
import { program } from "./program.js";

await program(upkeep, testing);
