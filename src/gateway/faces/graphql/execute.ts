import type { Message } from "@bufbuild/protobuf";
import { execute, type ExecutionArgs, type GraphQLSchema, subscribe } from "graphql";
import type { CallGroup } from "../call-group.ts";
import { CompiledOperations } from "./compiled-operations.ts";
import { costOf } from "./cost.ts";
import { Documents, operationOf, RequestErrors } from "./documents.ts";
import { ErrorTexts, refusedResult, type ShownResult } from "./errors.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import type { OperationMeter } from "./meters.ts";
import type { EventStream } from "./operation.ts";
import { OperationRun, type RunParts } from "./operation-run.ts";
import type { Persisted } from "./persisted.ts";
import type { PreparedOperation } from "./prepared-operation.ts";
import { Refusal } from "./refusal.ts";
import { ResultEvents, type ResultStream } from "./result-events.ts";
import type { OperationRequest } from "./request.ts";
import type { ContractSchema } from "./schema.ts";
import { type OperationResult, WrittenResult } from "./written-result.ts";

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
  readonly #compiled: CompiledOperations;

  constructor(parts: ExecutorParts) {
    const { schema, options } = parts;
    this.#parts = parts;
    this.#documents = new Documents(schema, options);
    this.#compiled = new CompiledOperations(schema);
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
  async execute(prepared: PreparedOperation, group: CallGroup): Promise<OperationResult> {
    const { schema, run, meter } = this.#parts;
    const begun = performance.now();
    const { type, valid } = prepared;
    const operation = new OperationRun(run, group, false);
    const written = await this.#written(prepared, operation);
    if (written !== undefined) {
      meter.ended(type, "ok", begun);
      return written;
    }
    if (valid.introspects) await schema.describe();
    const result = await execute(this.#argsOf(prepared, operation));
    meter.operation(type, result, begun);
    return this.errors.result(result); // There is no incremental delivery.
  }

  /** The result of an operation that is compiled; undefined where graphql-js has to say what becomes of it. */
  async #written(prepared: PreparedOperation, operation: OperationRun): Promise<WrittenResult | undefined> {
    const ready = this.#compiled.of(prepared);
    if (ready === undefined) return undefined;
    try {
      return new WrittenResult(await ready.compiled.data(ready.variables, operation));
    } catch {
      return undefined; // The operation has the replies, and what was thrown instead of them.
    }
  }

  /**
   * Begins a subscription. Resolves with its results, of which the last one says why it has ended with an error; or with
   * the errors of a request that is wrong.
   */
  async subscribe(prepared: PreparedOperation, group: CallGroup): Promise<ResultStream | ShownResult> {
    const { run, meter } = this.#parts;
    const begun = performance.now();
    const operation = new OperationRun(run, group, true);
    const ended = (failed: boolean): void => meter.ended("subscription", failed ? "failed" : "ok", begun);
    const compiled = this.#compiledEvents(prepared, operation, ended);
    if (compiled !== undefined) return compiled;
    const events = await subscribe(this.#argsOf(prepared, operation));
    if (!(Symbol.asyncIterator in events)) {
      meter.operation("subscription", events, begun);
      return this.errors.result(events);
    }
    const show = (result: ShownExecution): ShownResult => this.errors.result(result);
    return new ResultEvents(events as AsyncGenerator<ShownExecution>, show, this.errors, ended);
  }

  /** The results of a subscription that is compiled. Nothing is called before the first one is asked for. */
  #compiledEvents(
    prepared: PreparedOperation,
    operation: OperationRun,
    ended: (failed: boolean) => void,
  ): ResultStream | undefined {
    const ready = this.#compiled.of(prepared);
    if (ready === undefined) return undefined;
    const { compiled, variables } = ready;
    let replies: EventStream<Message>;
    try {
      replies = compiled.stream(variables, operation);
    } catch {
      return undefined;
    }
    const executed = async (reply: Message): Promise<ShownResult> =>
      this.errors.result(await execute({ ...this.#argsOf(prepared, operation), rootValue: reply }));
    const show = (reply: Message): OperationResult | Promise<OperationResult> => {
      try {
        const data = compiled.event(reply, operation);
        if (typeof data === "string") return new WrittenResult(data);
        return data.then(
          (text) => new WrittenResult(text),
          () => executed(reply),
        );
      } catch {
        return executed(reply);
      }
    };
    return new ResultEvents(replies, show, this.errors, ended);
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
