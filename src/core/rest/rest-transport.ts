import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  type ContextValues,
  createContextValues,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { toRequestError } from "../errors/errors.ts";
import { CallSignal } from "./call-signal.ts";
import { callUnary, connected } from "./rest-call.ts";
import { withStandardTypes } from "./rest-error.ts";
import { methodBook, type RestScope } from "./rest-method.ts";
import { readOptions, type RestHeaders, type RestTransportOptions } from "./rest-options.ts";

/**
 * A transport for Connect's `createClient` that calls an HTTP API as `google.api.http` rules describe it, by `fetch`:
 * in browsers and in Node. A call goes by the first rule of its rpc that can carry the request.
 *
 * Calls throw `ConnectError`s, with the code and the details that the server gives. `fetch` cannot read HTTP trailers;
 * TsMs gateways send those of unary calls as headers.
 *
 * @throws TypeError for options that are wrong
 */
export function restTransport(
  options: Pick<RestTransportOptions, "baseUrl"> & Partial<RestTransportOptions>,
): Transport {
  const read = readOptions(options);
  const scope: RestScope = { ...read, registry: withStandardTypes(read.registry) };
  const lookUp = methodBook(scope);
  const signalOf = (
    outer: AbortSignal | undefined,
    ownMs: number | undefined,
    policyMs: number | undefined,
    isStream: boolean,
  ): CallSignal =>
    // An interceptor may hand the signal on.
    new CallSignal(
      outer,
      Math.min(...[ownMs ?? 0, policyMs ?? 0].filter((ms) => ms > 0)),
      isStream || scope.interceptors.length > 0,
    );
  return {
    async unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: RestHeaders,
      input: MessageInitShape<I>,
      values?: ContextValues,
    ): Promise<UnaryResponse<I, O>> {
      const known = lookUp(method);
      const call = signalOf(signal, timeoutMs ?? scope.timeoutMs, known.timeoutMs, false);
      try {
        const common = await requestOf(scope, method, header, values, call);
        const message = create(method.input, input);
        const request = Object.assign(common, { stream: false, method, message } as const); // Keeps the getter.
        const run = chain(scope.interceptors, (req) => callUnary(known, req as UnaryRequest, call, scope));
        return (await call.race(run(request))) as UnaryResponse<I, O>; // Of this method.
      } catch (reason) {
        throw call.error(reason);
      } finally {
        call.end();
      }
    },

    async stream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodStreaming<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: RestHeaders,
      input: AsyncIterable<MessageInitShape<I>>,
      values?: ContextValues,
    ): Promise<StreamResponse<I, O>> {
      const known = lookUp(method);
      const call = signalOf(signal, timeoutMs, known.timeoutMs, true);
      try {
        // Most programs in browsers have none.
        const { callStream, ReplyMessages } = await connected(import("./stream-call.ts"));
        const common = await requestOf(scope, method, header, values, call);
        const message = messagesOf(method.input, input);
        const request = Object.assign(common, { stream: true, method, message } as const);
        const run = chain(scope.interceptors, (req) => callStream(known, req as StreamRequest, call, scope));
        const response = (await call.race(run(request))) as StreamResponse<I, O>; // Of this method.
        const replies = new ReplyMessages(response.message, call);
        return { ...response, message: replies as AsyncIterable<Message> as AsyncIterable<MessageShape<O>> };
      } catch (reason) {
        const error = call.error(reason);
        call.abort(error);
        call.end();
        throw error;
      }
    },
  };
}

type AnyFn = Parameters<Interceptor>[0];

function chain(interceptors: readonly Interceptor[], last: AnyFn): AnyFn {
  return interceptors.reduceRight<AnyFn>((next, interceptor) => interceptor(next), last);
}

/** What requests of all kinds have. The URL is that of the rpc: the one that is fetched depends on the message. */
async function requestOf(
  { baseUrl, headers }: RestScope,
  { parent, name }: DescMethod,
  own: RestHeaders,
  values: ContextValues | undefined,
  call: CallSignal,
) {
  const common = typeof headers === "function" ? await call.race(Promise.resolve(headers())) : headers;
  const header = new Headers(common);
  if (own !== undefined) new Headers(own).forEach((value, key) => header.set(key, value));
  return {
    service: parent,
    requestMethod: "POST",
    url: `${baseUrl}/${parent.typeName}/${name}`,
    get signal() {
      return call.signal;
    },
    header,
    contextValues: values ?? createContextValues(),
  };
}

async function* messagesOf<I extends DescMessage>(
  schema: I,
  input: AsyncIterable<MessageInitShape<I>>,
): AsyncGenerator<MessageShape<I>, void, undefined> {
  try {
    for await (const init of input) yield create(schema, init);
  } catch (reason) {
    throw toRequestError(reason);
  }
}
