// The same functions for a thread of upkeep.
import { serve } from "upkeep/threads";
import { add } from "./threads-plain.ts";

serve({ add });
