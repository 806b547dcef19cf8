import {
  createRegistry,
  type DescMessage,
  fromBinary,
  fromJson,
  type MessageInitShape,
  toJson,
} from "@bufbuild/protobuf";
import { timestampFromDate, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import {
  Saga_State,
  SagaService as descriptor,
  type SagaSchema,
  type SignalSagaRequest,
} from "../../gen/ts_ms/saga/v1/saga_pb.ts";
import type { Service } from "../core/call/service.ts";
import { invalidArgument } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { unknownSaga } from "./saga-errors.ts";
import { type SagaState, sagaStates, type SagaStatus } from "./saga-status.ts";
import type { Sagas } from "./sagas.ts";

/** What runs sagas, as the service shows and changes it. */
export type AdministeredSagas = Pick<Sagas, "list" | "status" | "cancel" | "retry" | "signal">;

/** Options of the service of sagas. */
export interface SagaServiceOptions {
  /** Decides on every call before anything else; what it throws refuses the call. */
  readonly allow: (context: HandlerContext) => void | Promise<void>;
  /** Types of the messages that `SignalSaga` may send. Default: none. */
  readonly signals?: readonly DescMessage[];
}

const defaultPage = 100;
const largestPage = 1_000;

/**
 * The service that shows sagas and changes them, to be added to a server as any other. Its contract,
 * `ts_ms/saga/v1/saga.proto`, documents each rpc.
 *
 * @throws SetupError without `allow`
 */
export function sagaService(
  sagas: AdministeredSagas,
  { allow, signals = [] }: SagaServiceOptions,
): Service<typeof descriptor> {
  if (typeof allow !== "function") {
    throw new SetupError(
      "sagaService: the option allow must be a function that decides who may see and change sagas",
    );
  }
  /** A handler behind `allow`. */
  const guarded =
    <Q, R>(handler: (request: Q) => Promise<R>) =>
    async (request: Q, context: HandlerContext): Promise<R> => {
      await allow(context);
      return handler(request);
    };
  const handlers: Omit<Service<typeof descriptor>, "descriptor"> = {
    listSagas: guarded(async ({ name, state, pageSize, pageToken }) => {
      const limit = pageSizeOf(pageSize);
      const page = await sagas.list({
        saga: name === "" ? undefined : name,
        state: stateOf(state),
        limit,
        before: beforeOf(pageToken),
      });
      const last = page.length < limit ? undefined : page.at(-1);
      return { sagas: page.map(fromStatus), nextPageToken: last === undefined ? "" : tokenOf(last) };
    }),
    getSaga: guarded(async ({ id }) => {
      const status = await sagas.status(id);
      if (status === undefined) throw unknownSaga(id);
      return { saga: fromStatus(status) };
    }),
    cancelSaga: guarded(async ({ id, reason }) => {
      await sagas.cancel(id, reason === "" ? "by an administrator" : reason);
      return {};
    }),
    retrySaga: guarded(async ({ id }) => {
      await sagas.retry(id);
      return {};
    }),
    signalSaga: guarded(async (request) => {
      const schema = signals.find(({ typeName }) => typeName === request.type);
      if (schema === undefined) {
        const known = signals.map(({ typeName }) => typeName).join(", ") || "none";
        throw badField("type", `"${request.type}" is no type of signals; there are: ${known}`);
      }
      await sagas.signal(request.id, schema, messageOf(schema, request));
      return {};
    }),
  };
  return { descriptor, ...handlers };
}

function pageSizeOf(size: number): number {
  if (size < 0) throw badField("page_size", `${size} must not be negative`);
  return size === 0 ? defaultPage : Math.min(size, largestPage);
}

function stateOf(state: Saga_State): SagaState | undefined {
  return sagaStates.find((name) => Saga_State[name] === state);
}

/** The place of a saga in the list, as text. */
function tokenOf({ begunAt, id }: SagaStatus): string {
  return Buffer.from(JSON.stringify([begunAt.getTime(), id])).toString("base64url");
}

function beforeOf(token: string): Pick<SagaStatus, "id" | "begunAt"> | undefined {
  if (token === "") return undefined;
  try {
    const [ms, id] = JSON.parse(Buffer.from(token, "base64url").toString()) as unknown[];
    if (typeof ms === "number" && typeof id === "string") return { begunAt: new Date(ms), id };
  } catch {
    // As one that is something else.
  }
  throw badField("page_token", "is none that this service has given");
}

function messageOf(schema: DescMessage, { message }: SignalSagaRequest): MessageInitShape<DescMessage> {
  try {
    if (message.case === "binary") return fromBinary(schema, message.value);
    const json = message.case === "json" ? jsonOf(message.value) : {};
    return fromJson(schema, json, { registry: createRegistry(schema.file) });
  } catch (reason) {
    throw badField("message", reason instanceof Error ? reason.message : String(reason));
  }
}

function jsonOf(value: Value): ReturnType<typeof toJson> {
  return toJson(ValueSchema, value);
}

function fromStatus(status: SagaStatus): MessageInitShape<typeof SagaSchema> {
  const { id, saga: name, version, begunAt, changedAt, deadline, pivot, cancelWhy, failure, stuck } = status;
  return {
    id,
    name,
    version,
    state: Saga_State[status.state],
    beginTime: timestampFromDate(begunAt),
    changeTime: timestampFromDate(changedAt),
    ...(deadline && { deadline: timestampFromDate(deadline) }),
    pivot: pivot ?? "",
    ...(cancelWhy !== undefined && { cancelReason: cancelWhy }),
    ...(failure && { failure }),
    ...(stuck && { stuck: { step: stuck.step, error: { code: stuck.code, message: stuck.message } } }),
  };
}

function badField(field: string, description: string): Error {
  return invalidArgument(`${field}: ${description}`, [{ field, description }]);
}
