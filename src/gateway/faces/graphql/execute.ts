import {
  execute,
  type ExecutionArgs,
  GraphQLError,
  type GraphQLSchema,
  type OperationDefinitionNode,
  subscribe,
} from "graphql";
import { toCallError } from "../../../core/errors/errors.ts";
import type { CallGroup } from "../call-group.ts";
import { costOf } from "./cost.ts";
import { Documents, operationOf, RequestErrors, type ValidDocument } from "./documents.ts";
import { ErrorTexts, refusedResult, type ShownResult } from "./errors.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import type { OperationMeter } from "./meters.ts";
import { OperationRun, type RunParts } from "./operation-run.ts";
import type { Persisted } from "./persisted.ts";
import { Refusal } from "./refusal.ts";
import type { OperationRequest } from "./request.ts";
import type { RootType } from "./rpcs.ts";
import type { ContractSchema } from "./schema.ts";
import { causeOf } from "./versions.ts";

/** An operation that may be executed. */
export interface PreparedOperation {
  readonly type: RootType;
  readonly request: OperationRequest;
  readonly valid: ValidDocument;
  readonly operation: OperationDefinitionNode;
}

/** What executes the operations of one contract. */
export interface ExecutorParts {
  readonly schema: ContractSchema;
  readonly options: GraphqlOptions;
  readonly persisted: Persisted;
  readonly run: RunParts;
  readonly meter: OperationMeter;
}

/** Executes the operations of one contract, whatever way they come. */
export class Executor {
  readonly errors: ErrorTexts;
  readonly #parts: ExecutorParts;
  readonly #documents: Documents;

  constructor(parts: ExecutorParts) {
    const { schema, options } = parts;
    this.#parts = parts;
    this.#documents = new Documents(schema, options);
    this.errors = new ErrorTexts(schema.registry, !options.introspection);
  }

  /** The schema of the contract. */
  get schema(): GraphQLSchema {
    return this.#parts.schema.schema;
  }

  /**
   * Finds and checks the operation of a request, without a call.
   *
   * @throws Refusal, or RequestErrors for what is wrong by the rules of GraphQL
   */
  prepare(request: OperationRequest): PreparedOperation {
    const { persisted, options, schema } = this.#parts;
    const { text, trusted } = persisted.find(request);
    const valid = this.#documents.get(text, trusted);
    const operation = operationOf(valid, request.operationName);
    const type = operation.operation;
    const root = schema.schema.getRootType(type);
    if (root) {
      const cost = costOf({
        operation,
        fragments: valid.fragments,
        root,
        fields: schema.roots[type],
        variables: request.variables ?? {},
        listSize: options.listSize,
      });
      if (cost > options.maxCost) {
        throw new Refusal(
          "cost",
          `the operation costs ${cost} points, and may cost ${options.maxCost} (maxCost)`,
        );
      }
    }
    return { type, request, valid, operation };
  }

  /** Executes a query or a mutation. Never rejects. */
  async execute(prepared: PreparedOperation, group: CallGroup): Promise<ShownResult> {
    const { schema, run, meter } = this.#parts;
    const begun = performance.now();
    const { type, valid } = prepared;
    if (valid.introspects) await schema.describe();
    const result = await execute(this.#argsOf(prepared, new OperationRun(run, group, false)));
    meter.operation(type, result, begun);
    return this.errors.result(result); // There is no incremental delivery.
  }

  /**
   * Begins a subscription. Resolves with its results, of which the last one says why it has ended with an error; or with
   * the errors of a request that is wrong.
   */
  async subscribe(
    prepared: PreparedOperation,
    group: CallGroup,
  ): Promise<AsyncGenerator<ShownResult> | ShownResult> {
    const { run, meter } = this.#parts;
    const begun = performance.now();
    const events = await subscribe(this.#argsOf(prepared, new OperationRun(run, group, true)));
    if (!(Symbol.asyncIterator in events)) {
      meter.operation("subscription", events, begun);
      return this.errors.result(events);
    }
    return new ShownEvents(events as AsyncGenerator<ShownExecution>, this.errors, (failed) => {
      meter.ended("subscription", failed ? "failed" : "ok", begun);
    });
  }

  /** The answer to what `prepare` has thrown; undefined for anything else. */
  refused(reason: unknown): ShownResult | undefined {
    const { meter } = this.#parts;
    if (reason instanceof Refusal) {
      meter.refused(reason.reason);
      return refusedResult(reason);
    }
    if (!(reason instanceof RequestErrors)) return undefined;
    meter.refused(reason.reason);
    return { errors: reason.errors.map((error) => this.errors.error(error, false)) };
  }

  #argsOf({ valid, request }: PreparedOperation, context: OperationRun): ExecutionArgs {
    return {
      schema: this.#parts.schema.schema,
      document: valid.document,
      contextValue: context,
      variableValues: request.variables ?? {},
      operationName: request.operationName,
      hideSuggestions: !this.#parts.options.introspection,
    };
  }
}

/** A result of execution whose values are ready. */
type ShownExecution = Parameters<ErrorTexts["result"]>[0];

/** The results of a subscription. It ends at once with `return`, also while an event is waited for. */
class ShownEvents implements AsyncGenerator<ShownResult> {
  readonly #events: AsyncGenerator<ShownExecution>;
  readonly #errors: ErrorTexts;
  #ended: ((failed: boolean) => void) | undefined;
  #isOver = false;

  constructor(events: AsyncGenerator<ShownExecution>, errors: ErrorTexts, ended: (failed: boolean) => void) {
    this.#events = events;
    this.#errors = errors;
    this.#ended = ended;
  }

  async next(): Promise<IteratorResult<ShownResult>> {
    if (this.#isOver) return { done: true, value: undefined };
    try {
      const event = await this.#events.next();
      if (event.done !== true) return { done: false, value: this.#errors.result(event.value) };
      this.#end(false);
      return { done: true, value: undefined };
    } catch (reason) {
      if (this.#isOver) return { done: true, value: undefined };
      this.#end(true);
      return { done: false, value: failedResult(reason, this.#errors) };
    }
  }

  async return(): Promise<IteratorResult<ShownResult>> {
    if (!this.#isOver) {
      this.#end(false);
      await this.#events.return(undefined);
    }
    return { done: true, value: undefined };
  }

  async throw(reason: unknown): Promise<IteratorResult<ShownResult>> {
    await this.return();
    throw reason;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #end(failed: boolean): void {
    this.#isOver = true;
    this.#ended?.(failed);
    this.#ended = undefined;
  }
}

/** The last result of a subscription that an error has ended. */
function failedResult(reason: unknown, errors: ErrorTexts): ShownResult {
  const cause = reason instanceof GraphQLError ? causeOf(reason) : reason;
  const error = toCallError(cause ?? reason);
  return { errors: [{ message: error.rawMessage, extensions: errors.extensions(error) }], data: null };
}
