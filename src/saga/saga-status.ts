/** The states of a saga; a saga that is STUCK waits for `Sagas.retry`. */
export const sagaStates = ["RUNNING", "UNDOING", "DONE", "UNDONE", "STUCK"] as const;

/** One of `sagaStates`. */
export type SagaState = (typeof sagaStates)[number];

/** How a saga stands. */
export interface SagaStatus {
  readonly id: string;
  /** Name of the saga. */
  readonly saga: string;
  readonly version: number;
  readonly state: SagaState;
  readonly begunAt: Date;
  /** When the state changed last. */
  readonly changedAt: Date;
  /** Undefined for none. */
  readonly deadline: Date | undefined;
  /** The step from which on it only goes forward; undefined before. */
  readonly pivot: string | undefined;
  /** Why it was cancelled; undefined if it was not. */
  readonly cancelWhy: string | undefined;
  /** Why it is undone; undefined while it is not. */
  readonly failure: { readonly code: number; readonly message: string } | undefined;
  /** What it cannot go on with: a step, `undo STEP`, `body`, or `code` where the code does not fit the record. */
  readonly stuck: { readonly step: string; readonly code: number; readonly message: string } | undefined;
}

/** Which sagas to list. */
export interface SagaFilter {
  /** Name of the saga. Default: all. */
  readonly saga?: string | undefined;
  /** Default: all. */
  readonly state?: SagaState | undefined;
  /** Most sagas. Default: 100. */
  readonly limit?: number | undefined;
  /** Only those begun before this one: the last of the page before. */
  readonly before?: Pick<SagaStatus, "id" | "begunAt"> | undefined;
}
