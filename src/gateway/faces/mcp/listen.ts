import type { HttpExchange } from "../../http/exchange.ts";
import { EventStream } from "./event-stream.ts";
import { resultText, type RpcMessage } from "./json-rpc.ts";
import { RpcError, rpcCodes } from "./rpc-error.ts";
import { type Change, changes, type Listener, type Listeners } from "./listeners.ts";
import type { McpServer } from "./mcp-server.ts";
import { metaNames, type Revision } from "./versions.ts";

/** One request `subscriptions/listen`. */
interface ListenRequest {
  readonly id: string;
  readonly message: RpcMessage;
  readonly revision: Revision;
  readonly exchange: HttpExchange;
  readonly server: McpServer;
  readonly listeners: Listeners;
  readonly writeIdleMs: number;
}

/**
 * Answers `subscriptions/listen` with events, until the client leaves or the server stops.
 *
 * @throws RpcError for a filter that is none, and where no place is left
 */
export function listen(request: ListenRequest): void {
  const { id, message, revision, exchange, server, listeners, writeIdleMs } = request;
  const asked = askedChanges(message);
  listeners.checkRoom();
  const events = new EventStream(exchange, writeIdleMs);
  const send = (text: string): void => void events.send(text)?.catch(nothing);
  const meta = `"${metaNames.subscription}":${id}`;
  const listener: Listener = {
    asked,
    // A client that has not read the last notification learns of a change by that one.
    notify: (change) => events.busy || send(notification(changes[change], `"_meta":{${meta}}`)),
    beat: () => events.beat(),
    end: () => events.end(resultText(id, server.emptyResult(revision, meta))),
  };
  listeners.add(listener);
  exchange.onClose(() => listeners.delete(listener));
  exchange.onStop = () => void listener.end();
  send(acknowledgement(asked, meta));
}

/** @throws RpcError -32602 */
export function askedChanges({ params }: RpcMessage): readonly Change[] {
  const raw = params.get("notifications");
  const filter = raw?.members();
  if (filter === undefined) throw new RpcError(rpcCodes.invalidParams, '"notifications" is an object', 400);
  const known = Object.keys(changes) as Change[]; // Its keys are these.
  return known.filter((change) => filter.get(change)?.text === "true");
}

/** Says what will be notified. @param meta members of `_meta` */
export function acknowledgement(asked: readonly Change[], meta: string): string {
  const honoured = asked.map((change) => `"${change}":true`).join(",");
  return notification(
    "notifications/subscriptions/acknowledged",
    `"_meta":{${meta}},"notifications":{${honoured}}`,
  );
}

/** @param params members in JSON */
export function notification(method: string, params: string): string {
  return `{"jsonrpc":"2.0","method":"${method}","params":{${params}}}`;
}

function nothing(): void {}
