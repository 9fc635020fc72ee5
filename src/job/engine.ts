/**
 * The code that a definition carries to a processor, so that only those who import it pay for it.
 *
 * @module
 */

import type { JobClaim } from "../basket/engine.ts";
import type { ClaimedJob } from "./claimed-job.ts";
import type { JobOwner } from "./owner.ts";
import type { PreparedJob } from "./state.ts";

/** See `JobDefinition.engine`. */
export interface Engine {
	/** Makes what runs a claimed job. */
	resume<Tx>(owner: JobOwner<Tx>, job: PreparedJob, claim: JobClaim): ClaimedJob<Tx>;
}
