import type { HttpExchange } from "../../http/exchange.ts";
import type { Sink } from "../../../core/call/layered-stream.ts";
import { StreamWriter } from "../../http/stream-writer.ts";
import type { CallGroup } from "../call-group.ts";
import type { PreparedOperation } from "./prepared-operation.ts";
import type { HttpParts } from "./http-parts.ts";
import type { ResultStream } from "./result-events.ts";
import { type OperationResult, textOfResult } from "./written-result.ts";

const comment = ":\n\n";
const complete = "event: complete\ndata:\n\n";

/**
 * Answers with the results of an operation as server-sent events: `next` for each, `complete` at the end. The next event
 * waits until the client has read.
 *
 * @throws what is wrong with the request itself; the answer has not begun then
 */
export async function eventsAnswer(
  prepared: PreparedOperation,
  group: CallGroup,
  exchange: HttpExchange,
  { executor, heartbeatMs, writeIdleMs }: HttpParts,
): Promise<void> {
  const results =
    prepared.type === "subscription"
      ? await executor.subscribe(prepared, group)
      : new OneResult(await executor.execute(prepared, group));
  if (!("passAll" in results)) {
    exchange.respond(400, { "content-type": "application/json; charset=utf-8" }, JSON.stringify(results));
    return;
  }
  const body = exchange.respondInParts(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
  });
  const writer = new StreamWriter(body, { writeIdleMs: writeIdleMs() });
  body.flushHeaders();
  const heartbeat =
    heartbeatMs > 0
      ? setInterval(() => {
          if (!writer.busy) void writer.write(comment)?.catch(() => {});
        }, heartbeatMs)
      : undefined;
  const forget = exchange.onClose(() => void results.return(undefined));
  exchange.onStop = (reason) => group.abort(reason);
  const send = (result: OperationResult): Promise<void> | undefined => {
    if (!writer.gathers) heartbeat?.refresh(); // Once a turn: it reads the clock.
    // A client that has left, or reads nothing, gets no more.
    return writer
      .write(`event: next\ndata: ${textOfResult(result)}\n\n`)
      ?.catch(() => void results.return(undefined));
  };
  try {
    await results.passAll(send);
    await writer.end(complete);
  } finally {
    forget();
    clearInterval(heartbeat);
    await results.return(undefined);
  }
}

/** The result of a query or mutation, as those of subscriptions come. */
class OneResult implements Pick<ResultStream, "passAll" | "return"> {
  readonly #result: OperationResult;

  constructor(result: OperationResult) {
    this.#result = result;
  }

  async passAll(sink: Sink<OperationResult>): Promise<void> {
    await sink(this.#result);
  }

  return(): Promise<IteratorResult<OperationResult>> {
    return Promise.resolve({ done: true, value: undefined });
  }
}
