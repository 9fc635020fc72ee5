/**
 * Keeps background work going in any JavaScript runtime: run it, retry it, share it, reconfigure it, persist it, revert it.
 *
 * @module
 */

// Work that survives.
export {
	type AddArguments,
	type AddOptions,
	Basket,
	type BasketSnapshot,
	type BasketStopOptions,
	type Changed,
	type CollectOptions,
	type NewBasketTask,
	type ScheduleOptions,
	type ScheduleRecord,
	type StoredPause,
	type TaskFilter,
	TaskNotFoundError,
	type TaskQuery,
	type TaskRecord,
	type TaskResult,
	type TxOptions,
	type WorkOptions,
} from "./src/basket/basket.ts";
export { type ListableBasket, live, type LiveOptions } from "./src/basket/live.ts";
export { cloneCodec } from "./src/basket/clone-codec.ts";
export { type Codec, jsonCodec, type TaskFailure } from "./src/basket/codec.ts";
export { type BasketContext, ClaimLostError, type TaskProgress } from "./src/basket/context.ts";
export {
	type BasketOptions,
	type PayloadOf,
	type TaskDefinition,
	type TaskEntries,
	type TaskEntry,
	type TaskFunction,
	type TaskMap,
	type TaskSettled,
	type WakeHint,
} from "./src/basket/options.ts";
export { memoryStore, type MemoryStoreOptions } from "./src/basket/memory.ts";
export {
	type Added,
	type Change,
	type Counts,
	type Pauses,
	type Store,
	type TaskState,
	type WakeReason,
} from "./src/basket/store.ts";
export { type Limit, limit, type LimitBounds, type LimitOptions, type RateOptions } from "./src/limit/limit.ts";
export { every } from "./src/schedule/every.ts";
export { type Recurrence, type Schedule } from "./src/schedule/schedule.ts";
export { batch, type BatchContext, type BatchFunction, type BatchOptions, type BatchTask } from "./src/batch/batch.ts";
export { type Recurring } from "./src/basket/schedules.ts";
export { StoreError, type StoreErrorCode } from "./src/platform/store-error.ts";

// What happens, for metrics and traces.
export { observer } from "./src/observer/observer.ts";
export {
	type ObservedAdd,
	type ObservedAddEnd,
	type ObservedAttempt,
	type ObservedEnd,
	type Observer,
	type ObserverHooks,
} from "./src/run/observer.ts";
export { type TaskAttempt, type TaskHistory } from "./src/basket/history.ts";
export { type TaskMeta } from "./src/basket/meta.ts";

// Work of several steps.
export { type Job, job, type WaitForOptions } from "./src/job/job.ts";
export {
	type AnyJob,
	type ChildrenOptions,
	JobDefinition,
	type JobOptions,
	type JobStep,
	type JobTypes,
} from "./src/job/definition.ts";
export {
	type ChildArguments,
	type ChildrenContext,
	type ItemContext,
	type ItemResults,
	type ItemRevertContext,
	type JobBranchCheck,
	type JobBranches,
	type JobBranchOptions,
	type JobBranchResults,
	type JobEachOptions,
	type JobStepOptions,
} from "./src/job/step-options.ts";
export { type RevertContext, type StepContext } from "./src/job/context.ts";
export { type RetryJobOptions } from "./src/job/restarting.ts";
export { Durable, durable, type FlowValues } from "./src/job/durable.ts";
export {
	type Flow,
	type FlowName,
	type FlowRevertContext,
	type FlowStepContext,
	type FlowStepOptions,
} from "./src/job/flow.ts";
export { describeJob, type JobDescription, type StepDescription } from "./src/job/describe.ts";
export {
	type AddJobArguments,
	type AddJobOptions,
	type FailedJobAttempt,
	type JobSettled,
	type NewJob,
	type ProcessorOptions,
	type StoredJobPause,
} from "./src/job/options.ts";
export {
	type AddedJob,
	type JobId,
	JobNotFoundError,
	type JobOf,
	type JobOutcome,
	type SignalName,
	type SignalValue,
	type UnknownJob,
} from "./src/job/outcome.ts";
export { Processor } from "./src/job/processor.ts";
export { type JobAttempt, type JobStatus } from "./src/job/state.ts";
export { type JobStepRecord, type JobStepState } from "./src/job/step-records.ts";
export { type JobFilter } from "./src/job/changing.ts";
export { type JobChildren } from "./src/job/children-view.ts";
export { type JobLapse, type JobQuery, type JobRecord, type LiveJob, type ProcessorSnapshot } from "./src/job/view.ts";

// One task.
export { run, Runner, type RunnerSnapshot, type RunOptions, type RunStep, type RunStepOptions } from "./src/run/run.ts";
export { type BackoffOptions, type Jitter } from "./src/run/backoff.ts";
export { type FailedAttempt, type RunnerOptions } from "./src/run/options.ts";
export {
	type DelayOptions,
	later,
	resetBackoff,
	retryAfter,
	retryNow,
	stopNow,
	type Task,
	type TaskContext,
} from "./src/run/task.ts";

// Named tasks.
export { Group, type GroupOptions, type GroupTaskOptions } from "./src/group/group.ts";
export { type GroupTask, type GroupTaskSnapshot, type GroupTaskState } from "./src/group/task.ts";

// Tasks on workers.
export { Pool } from "./src/pool/pool.ts";
export {
	type CreateWorkerContext,
	type PoolContext,
	type PoolFunction,
	type PoolOptions,
	type PoolSnapshot,
	type PoolStopOptions,
	type PoolTask,
	type PoolTaskRecord,
	type PoolWorkerRecord,
} from "./src/pool/options.ts";
export { type PoolTaskOptions } from "./src/pool/task-options.ts";

// A declared state.
export {
	FatalError,
	type Plan,
	type PlanContext,
	type PlanFailure,
	type PlanPhase,
	type PlanTask,
	reconcile,
	type ReconcileEvent,
	type ReconcileOptions,
	type ReconcileReport,
} from "./src/reconcile/reconcile.ts";

// Shared operations.
export {
	Intermittent,
	type IntermittentOperation,
	type IntermittentOptions,
	type IntermittentSnapshot,
	type IntermittentStart,
	type IntermittentStarted,
	type IntermittentState,
	type IntermittentStop,
} from "./src/intermittent/intermittent.ts";
export { IntermittentMap } from "./src/intermittent/intermittent-map.ts";
export { poll, type PollCounts, type PollOptions } from "./src/intermittent/poll.ts";

// A configuration that can be replaced.
export {
	type ApplyConfig,
	type ConfigContext,
	type ConfigureOptions,
	Lifecycle,
	type LifecycleOptions,
	type LifecycleSnapshot,
	type LifecycleState,
	type ReadConfig,
} from "./src/lifecycle/lifecycle.ts";
export {
	type Configurable,
	configurable,
	configure,
	MissingMethodError,
	start,
	type Startable,
	startable,
	stop,
	type Stoppable,
	stoppable,
} from "./src/lifecycle/guards.ts";

// Services that come and go.
export { type ServiceQuery, type ServiceRequest, Services, type ServicesOptions } from "./src/services/services.ts";
export { type Service, type ServiceFactory, type ServiceRecord } from "./src/services/entry.ts";
export {
	InvalidConfigError,
	ServiceFailedError,
	ServiceNotFoundError,
	UnknownKindError,
} from "./src/services/errors.ts";
export { type ServiceChange, type ServiceWatchOptions } from "./src/services/watch.ts";

// Time, and what all of these share.
export { type Clock, sleep, type SleepOptions, systemClock } from "./src/platform/clock.ts";
export { type Timer } from "./src/platform/timer-queue.ts";
export { NameInUseError } from "./src/platform/name-in-use-error.ts";
export { type OnError } from "./src/platform/observe.ts";
export { type Subscribable } from "./src/platform/snapshot.ts";
export { type SchemaIssue, type StandardSchema, unchecked, ValidationError } from "./src/platform/standard-schema.ts";
export { type StopOptions, type WaitOptions } from "./src/platform/waiters.ts";
