/**
 * Handlers for HTTP, with web standards only: `servicesHandler` operates `Services`, and `basketHandler` shows and changes a
 * basket and a processor. Both take a `Request` and resolve with a `Response`, allow nothing without `authorize`, and refuse
 * changes by pages of other origins.
 *
 * @module
 */

export { type Authorize, type ServicesAction, servicesHandler, type ServicesHandlerOptions } from "./services.ts";
export { type HandlerOptions } from "./rules.ts";
