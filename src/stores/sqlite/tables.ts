/**
 * The names of the tables and indexes, and which of them exist.
 *
 * @module
 */

/** The names of the tables and indexes. */
export interface Tables {
	/** Whether the tables have what limits and runs need. Each check of the version sets it. */
	hasGates: boolean;
	/** Likewise, what children need. */
	hasFamilies: boolean;
	readonly schema: string;
	readonly tasks: string;
	readonly messages: string;
	readonly log: string;
	readonly replacements: string;
	readonly pauses: string;
	readonly claimable: string;
	readonly blocks: string;
	readonly lanes: string;
	readonly aside: string;
	readonly kept: string;
	readonly ended: string;
	readonly ids: string;
	readonly gates: string;
	readonly baskets: string;
	readonly ready: string;
	readonly idle: string;
	readonly gated: string;
	readonly engaged: string;
	readonly families: string;
	readonly joins: string;
	readonly children: string;
	readonly orphaned: string;
	readonly ripe: string;
}

/** @param prefix the common prefix */
export function nameTables(prefix: string): Tables {
	return {
		hasGates: false,
		hasFamilies: false,
		schema: `${prefix}schema`,
		tasks: `${prefix}tasks`,
		messages: `${prefix}messages`,
		log: `${prefix}log`,
		replacements: `${prefix}replacements`,
		pauses: `${prefix}pauses`,
		claimable: `${prefix}tasks_claimable`,
		blocks: `${prefix}blocks`,
		lanes: `${prefix}tasks_lane`,
		aside: `${prefix}tasks_aside`,
		kept: `${prefix}tasks_kept`,
		ended: `${prefix}tasks_ended`,
		ids: `${prefix}tasks_id`,
		gates: `${prefix}gates`,
		baskets: `${prefix}baskets`,
		ready: `${prefix}gates_ready`,
		idle: `${prefix}gates_idle`,
		gated: `${prefix}tasks_gated`,
		engaged: `${prefix}tasks_engaged`,
		families: `${prefix}families`,
		joins: `${prefix}joins`,
		children: `${prefix}tasks_child`,
		orphaned: `${prefix}families_orphaned`,
		ripe: `${prefix}joins_ripe`,
	};
}
