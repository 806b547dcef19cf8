import type { Message } from "@bufbuild/protobuf";
import type { StreamRequest, StreamResponse } from "@connectrpc/connect";
import { Code, ConnectError } from "../errors/errors.ts";
import type { CallSignal } from "./call-signal.ts";
import { readReply, replyReader } from "./reply-reader.ts";
import { asUnavailable, send } from "./rest-call.ts";
import type { RestMethod, RestScope } from "./rest-method.ts";
import { singleRequest } from "./rest-request.ts";
import { readStream, streamTypes } from "./rest-stream.ts";
import { manyRequest } from "./stream-request.ts";

/** Streaming calls, which a program loads with the first of them. */
export { ReplyMessages } from "./reply-messages.ts";

/** Makes one streaming call, inside of all interceptors; its replies are read as the caller takes them. */
export async function callStream(
  method: RestMethod,
  req: StreamRequest,
  call: CallSignal,
  scope: RestScope,
): Promise<StreamResponse> {
  const kind = method.desc.methodKind;
  if (kind === "bidi_streaming" && !inNode()) {
    const text =
      "fetch in browsers has no streams both ways; call this rpc over the WebSocket of the gateway";
    throw new ConnectError(text, Code.Unimplemented);
  }
  const request =
    kind === "server_streaming"
      ? singleRequest(method, await firstOf(req.message), scope)
      : await manyRequest(method, req.message, scope, call.signal, inNode());
  const reader = replyReader(request.route, scope);
  const isSingle = kind === "client_streaming";
  const accept = reader.isRaw ? "*/*" : isSingle ? "application/json" : streamTypes;
  const { response, header, trailer } = await send(request, req, accept, call, scope);
  const messages = isSingle
    ? once(() => readReply(response, reader, scope.maxMessageBytes))
    : readStream(response, request.route, reader, scope, header, trailer);
  const message = whileConnected(messages);
  return { stream: true, service: req.service, method: req.method, header, trailer, message };
}

/** Whether requests may be streams: the `fetch` of browsers refuses them over HTTP/1.1. */
function inNode(): boolean {
  return (
    typeof (globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node === "string"
  );
}

async function firstOf(messages: AsyncIterable<Message>): Promise<Message> {
  for await (const message of messages) return message;
  throw new ConnectError("the call has no request message", Code.Internal);
}

async function* once(read: () => Promise<Message>): AsyncGenerator<Message, void, undefined> {
  yield await read();
}

async function* whileConnected(messages: AsyncIterable<Message>): AsyncGenerator<Message, void, undefined> {
  try {
    yield* messages;
  } catch (reason) {
    throw asUnavailable(reason);
  }
}
