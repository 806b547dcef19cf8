import type { ExecutionResult } from "graphql";
import { notify } from "../../../core/call/observer.ts";
import type { GraphqlEvent, HttpObserver } from "../../http/http-observer.ts";
import type { RootType } from "./rpcs.ts";

/** Tells observers of a server what becomes of operations. */
export class OperationMeter {
  readonly #observers: readonly HttpObserver[];

  constructor(observers: readonly HttpObserver[]) {
    this.#observers = observers;
  }

  /** An operation was executed. @param begun in `performance.now()` milliseconds */
  operation(type: RootType, { data, errors }: Pick<ExecutionResult, "data" | "errors">, begun: number): void {
    const isWhole = errors === undefined || errors.length === 0;
    this.ended(type, isWhole ? "ok" : data === null || data === undefined ? "failed" : "partial", begun);
  }

  /** As `operation`, where its outcome is known. */
  ended(type: RootType, outcome: "ok" | "partial" | "failed", begun: number): void {
    this.#tell({ kind: "operation", type, outcome, seconds: (performance.now() - begun) / 1_000 });
  }

  /** A request was not executed. */
  refused(reason: string): void {
    this.#tell({ kind: "refused", reason });
  }

  /** A batch rpc was called. */
  batch(keys: number): void {
    this.#tell({ kind: "batch", keys });
  }

  #tell(event: GraphqlEvent): void {
    if (this.#observers.length > 0) notify(this.#observers, (observer) => observer.graphql?.(event));
  }
}
