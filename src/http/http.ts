/**
 * Handlers for HTTP, with web standards only: `servicesHandler` operates `Services`, and `basketHandler` shows and changes a
 * basket and a processor. Both take a `Request` and resolve with a `Response`, allow nothing without `authorize`, and refuse
 * changes by pages of other origins.
 *
 * @module
 */

export { type Authorize, type ServicesAction, servicesHandler, type ServicesHandlerOptions } from "./services.ts";
export { type HandlerOptions } from "./rules.ts";
export {
	type AuthorizeBasket,
	type BasketAction,
	type BasketGrant,
	basketHandler,
	type BasketHandlerOptions,
} from "./basket.ts";
export {
	type BacklogSample,
	inspect,
	type Inspectable,
	type InspectableBasket,
	type InspectableProcessor,
	type InspectedAttempt,
	type InspectedDetail,
	type InspectedJob,
	type InspectedLane,
	type InspectedSchedule,
	type InspectedStep,
	type InspectedTask,
	type InspectedValue,
	type Inspection,
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
	type InspectOptions,
	type Meter,
	meter,
	type MeterDurations,
	type MeterOptions,
	type MeterSlot,
	type Redact,
	type RedactableTask,
	type SourceOverview,
} from "../inspection/inspection.ts";
