/** `ts-ms/saga`: steps that are calls, each with what undoes it, which go on wherever a process has ended. */

export {
  type Saga,
  saga,
  type SagaBody,
  type SagaOptions,
  type SagaScope,
  type StepCall,
  stepDefaults,
  type StepOptions,
} from "../saga/saga.ts";
export { type BeginOptions, type SagaHandle, Sagas } from "../saga/sagas.ts";
export { sagasDefaults, type SagasInit, type SagasOptions } from "../saga/sagas-options.ts";
export { type SagaFilter, type SagaState, sagaStates, type SagaStatus } from "../saga/saga-status.ts";
export { sagaService, type SagaServiceOptions } from "../saga/saga-service.ts";
