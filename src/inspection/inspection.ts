/**
 * What an inspector shows and changes of a basket and a processor, in this process or over HTTP.
 *
 * Use {@link Inspection} to build a user interface for operators, which works with both. Programs use `Basket` and
 * `Processor` themselves.
 *
 * @module
 */

export {
	type BacklogSample,
	type InspectedAttempt,
	type InspectedDetail,
	type InspectedJob,
	type InspectedLane,
	type InspectedSchedule,
	type InspectedStep,
	type InspectedTask,
	type InspectedValue,
	type InspectionAction,
	inspectionActions,
	type InspectionActionType,
	type InspectionActivity,
	type InspectionChange,
	type InspectionOverview,
	type InspectionPage,
	type InspectionQuery,
	type InspectionSource,
	inspectionSources,
	type MeterDurations,
	type MeterSlot,
	type SourceOverview,
} from "./records.ts";

export { inspect, type Inspectable, type InspectOptions } from "./inspect.ts";
export { type InspectableBasket, type InspectableProcessor } from "./source.ts";
export { type Meter, meter, type MeterOptions } from "./meter.ts";
export { type Redact, type RedactableTask } from "./redaction.ts";
export { type Inspection } from "./interface.ts";
