import { Code, toCallError } from "../../../core/errors/errors.ts";
import { httpStatusOf } from "../../../core/errors/http-status.ts";
import { rankOf } from "../../http/accept.ts";
import { setFailure } from "../../http/error-writer.ts";
import { HttpError } from "../../http/http-error.ts";
import { bodyFormat } from "../../http/media-type.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import { weightedList } from "../../http/weighted-list.ts";
import { CallGroup } from "../call-group.ts";
import { RequestErrors } from "./documents.ts";
import { requestError } from "./errors.ts";
import { eventsAnswer } from "./events.ts";
import type { Executor } from "./execute.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import type { HttpParts } from "./http-parts.ts";
import type { PreparedOperation } from "./prepared-operation.ts";
import { Refusal } from "./refusal.ts";
import { type OperationRequest, parseJson, requestOf, requestOfTarget } from "./request.ts";
import { type OperationResult, textOfResult, WrittenResult } from "./written-result.ts";

/** How results are sent. */
type ResultType = "application/json" | "application/graphql-response+json" | "text/event-stream";

/**
 * Answers a request by GraphQL over HTTP. Never rejects.
 *
 * @see https://graphql.github.io/graphql-over-http/draft/
 */
export async function answerHttp(exchange: HttpExchange, parts: HttpParts): Promise<void> {
  const { head } = exchange;
  if (head.method === "GET" && parts.page?.(exchange) === true) return;
  const type = resultType(head.headers.accept);
  try {
    if (type === undefined) {
      throw new Refusal(
        "accept",
        "the answer is application/graphql-response+json, application/json or text/event-stream",
        { status: 406 },
      );
    }
    const asked = head.method === "GET" ? requestOfTarget(head.url) : await readBody(exchange, parts);
    if (Array.isArray(asked)) await answerAll(asked as readonly unknown[], type, exchange, parts);
    else await answerOne(asked as OperationRequest, type, exchange, parts); // As both functions give it.
  } catch (reason) {
    sendFailure(reason, type ?? "application/json", exchange, parts.executor);
  }
}

/** The request of a POST, or the list of requests. */
async function readBody(exchange: HttpExchange, { bodies, options }: HttpParts): Promise<unknown> {
  const { headers } = exchange.head;
  const type = headers["content-type"];
  if (bodyFormat(type) !== "json" || !/^ *application\/json *(?:;|$)/i.test(type ?? "")) {
    throw new Refusal("content_type", "a request is application/json in UTF-8; files are sent over REST", {
      status: 415,
    });
  }
  const value = parseJson(await bodies.read(exchange));
  if (!Array.isArray(value)) return requestOf(value);
  const { maxBatchedOperations: most } = options;
  if (most === 0) throw new Refusal("batched", "lists of operations are not taken (maxBatchedOperations)");
  if (value.length === 0 || value.length > most) {
    throw new Refusal(
      "batched",
      `a list has ${value.length} operations, and may have 1 to ${most} (maxBatchedOperations)`,
    );
  }
  return value;
}

async function answerOne(
  request: OperationRequest,
  type: ResultType,
  exchange: HttpExchange,
  parts: HttpParts,
): Promise<void> {
  const { executor, options } = parts;
  const prepared = prepareFor(request, exchange, parts);
  const group = CallGroup.of(exchange);
  if (prepared.type === "subscription" || type === "text/event-stream") {
    if (type !== "text/event-stream" || !options.subscriptions.includes("sse")) throw noEvents(options);
    await eventsAnswer(prepared, group, exchange, parts);
    return;
  }
  const result = await executor.execute(prepared, group);
  send(statusOf(result, type), type, result, exchange);
}

/** Several operations of one request, one after the other. */
async function answerAll(
  values: readonly unknown[],
  type: ResultType,
  exchange: HttpExchange,
  parts: HttpParts,
): Promise<void> {
  if (type === "text/event-stream") throw new Refusal("batched", "events are those of one operation");
  const { executor } = parts;
  const group = CallGroup.of(exchange);
  const results: OperationResult[] = [];
  for (const value of values) {
    try {
      const prepared = prepareFor(requestOf(value), exchange, parts);
      if (prepared.type === "subscription")
        throw new Refusal("batched", "a subscription is no part of a list");
      results.push(await executor.execute(prepared, group));
    } catch (reason) {
      const refused = executor.refused(reason);
      if (refused === undefined) throw reason;
      results.push(refused);
    }
  }
  send(200, type, results, exchange);
}

/** @throws HttpError for a mutation by GET, and as `Executor.prepare` */
function prepareFor(
  request: OperationRequest,
  { head }: HttpExchange,
  { executor }: HttpParts,
): PreparedOperation {
  const prepared = executor.prepare(request);
  if (head.method === "GET" && prepared.type === "mutation") {
    throw new HttpError(405, "a mutation is sent by POST", { headers: { allow: "POST" } });
  }
  return prepared;
}

function noEvents({ subscriptions, path }: GraphqlOptions): Refusal {
  const ways = [
    ...(subscriptions.includes("sse") ? ["by `Accept: text/event-stream`"] : []),
    ...(subscriptions.includes("websocket") ? [`over a WebSocket at ${path}`] : []),
  ];
  return new Refusal(
    "subscription",
    ways.length === 0 ? "subscriptions are not served" : `subscriptions are served ${ways.join(" and ")}`,
  );
}

/** The type that the client prefers; undefined where it takes none. */
function resultType(accept: string | undefined): ResultType | undefined {
  if (accept === undefined || accept === "*/*" || accept === "application/json") return "application/json";
  const ranges = weightedList(accept);
  const json = rankOf(ranges, "application/json");
  const response = rankOf(ranges, "application/graphql-response+json");
  const events = rankOf(ranges, "text/event-stream");
  // Events are sent to those only who name them.
  const isNamed = events.exactness === 2 && events.quality > 0;
  if (isNamed && events.quality >= json.quality && events.quality >= response.quality)
    return "text/event-stream";
  if (json.quality === 0 && response.quality === 0) return undefined;
  const preferred =
    response.quality > json.quality ||
    (response.quality === json.quality && response.exactness > json.exactness) ||
    (response.quality === json.quality && response.exactness === 2 && json.exactness === 2);
  return preferred ? "application/graphql-response+json" : "application/json";
}

function statusOf(result: OperationResult, type: ResultType): number {
  return result instanceof WrittenResult || "data" in result || type !== "application/graphql-response+json"
    ? 200
    : 400;
}

/** Answers with what was thrown before an operation was executed. */
function sendFailure(reason: unknown, type: ResultType, exchange: HttpExchange, executor: Executor): void {
  const shown = type === "text/event-stream" ? "application/json" : type;
  const refused = executor.refused(reason);
  if (refused !== undefined) {
    const isGraphql = reason instanceof RequestErrors;
    const status =
      reason instanceof Refusal ? reason.status : isGraphql && type === "application/json" ? 200 : 400;
    send(status, shown, refused, exchange);
    return;
  }
  const error = toCallError(reason);
  if (error.code === Code.Canceled && exchange.destroyed) return;
  setFailure(exchange.head, error); // It is among the refused calls; what the face refuses has a metric of its own.
  const status = reason instanceof HttpError ? reason.status : httpStatusOf(error.code);
  const headers = reason instanceof HttpError ? Object.fromEntries(reason.metadata) : {};
  send(status, shown, { errors: [requestError(error)] }, exchange, headers);
}

function send(
  status: number,
  type: ResultType,
  result: OperationResult | readonly OperationResult[],
  exchange: HttpExchange,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (exchange.answered) return; // The client has left.
  exchange.respond(
    status,
    { ...headers, "content-type": `${type}; charset=utf-8`, vary: "accept" },
    Array.isArray(result)
      ? `[${(result as readonly OperationResult[]).map(textOfResult).join()}]`
      : textOfResult(result as OperationResult), // As the line before says.
  );
}
