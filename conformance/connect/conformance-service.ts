import { setTimeout as wait } from "node:timers/promises";
import { create, toBinary, type DescService, type Message } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError, type PartialService } from "../../src/index.ts";
import type { Contract, Header, RpcError, StreamDefinition, UnaryDefinition } from "./contract.ts";

type AnyService = Pick<PartialService<DescService>, "descriptor">;
type Init = Record<string, unknown>;
type UnaryRequest = Message & { responseDefinition?: UnaryDefinition };
type StreamRequest = Message & { responseDefinition?: StreamDefinition };
type BidiRequest = StreamRequest & { fullDuplex: boolean };

/** The service that the suite calls, as specified in its contract. */
export function conformanceService(contract: Contract): PartialService<DescService> {
  const RequestInfo = contract.message("ConformancePayload.RequestInfo");
  const schemaOf = new Map(contract.service.methods.map(({ input }) => [input.typeName, input]));

  const infoOf = (context: HandlerContext, requests: readonly Message[]): Init => {
    const { search } = new URL(context.url, "http://localhost");
    const timeoutMs = context.timeoutMs();
    return {
      requestHeaders: toHeaders(context.requestHeader),
      requests: requests.map((request) => pack(request)),
      ...(timeoutMs === undefined ? {} : { timeoutMs: BigInt(Math.ceil(timeoutMs)) }),
      ...(search === "" ? {} : { connectGetInfo: { queryParams: toHeaders(new URLSearchParams(search)) } }),
    };
  };
  const pack = (message: Message): Message => {
    const schema = schemaOf.get(message.$typeName);
    if (schema === undefined) throw new Error(`no rpc takes ${message.$typeName}`);
    return anyPack(schema, message);
  };
  const failure = (error: RpcError, info: Init | undefined): ConnectError => {
    const failed = new ConnectError(error.message ?? "", error.code);
    failed.details = error.details.map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
      value,
    }));
    if (info !== undefined) {
      const value = toBinary(RequestInfo, create(RequestInfo, info));
      failed.details.push({ type: RequestInfo.typeName, value });
    }
    return failed;
  };
  const respond = async (
    definition: UnaryDefinition | undefined,
    requests: readonly Message[],
    context: HandlerContext,
  ): Promise<Init> => {
    const requestInfo = infoOf(context, requests);
    if (definition === undefined) return { payload: { requestInfo } };
    addMetadata(definition, context);
    await wait(definition.responseDelayMs, undefined, { signal: context.signal });
    const { response } = definition;
    if (response.case === "error") throw failure(response.value, requestInfo);
    return { payload: { requestInfo, data: response.value ?? new Uint8Array() } };
  };
  const unary = (request: UnaryRequest, context: HandlerContext): Promise<Init> =>
    respond(request.responseDefinition, [request], context);

  return {
    descriptor: contract.service,
    unary,
    idempotentUnary: unary,
    async clientStream(requests: AsyncIterable<UnaryRequest>, context: HandlerContext): Promise<Init> {
      const all: UnaryRequest[] = [];
      for await (const request of requests) all.push(request);
      return respond(all[0]?.responseDefinition, all, context);
    },
    async *serverStream(request: StreamRequest, context: HandlerContext): AsyncGenerator<Init> {
      const { responseDefinition: definition } = request;
      if (definition === undefined) return;
      addMetadata(definition, context);
      let info: Init | undefined = infoOf(context, [request]);
      for (const data of definition.responseData) {
        await wait(definition.responseDelayMs, undefined, { signal: context.signal });
        yield { payload: { data, ...(info === undefined ? {} : { requestInfo: info }) } };
        info = undefined;
      }
      if (definition.error !== undefined) throw failure(definition.error, info);
    },
    async *bidiStream(requests: AsyncIterable<BidiRequest>, context: HandlerContext): AsyncGenerator<Init> {
      let definition: StreamDefinition | undefined;
      let fullDuplex = false;
      let received: Message[] = [];
      let seen = 0;
      let sent = 0;
      const next = async (): Promise<Init> => {
        const { responseDelayMs = 0, responseData } = definition ?? {};
        await wait(responseDelayMs, undefined, { signal: context.signal });
        const data = responseData?.[sent] ?? new Uint8Array();
        const requestInfo =
          sent === 0 ? infoOf(context, received) : { requests: received.map((request) => pack(request)) };
        const withInfo = sent === 0 || received.length > 0;
        received = [];
        sent += 1;
        return { payload: withInfo ? { data, requestInfo } : { data } };
      };
      for await (const request of requests) {
        if (seen === 0) {
          ({ responseDefinition: definition, fullDuplex } = { responseDefinition: undefined, ...request });
          if (definition !== undefined) addMetadata(definition, context);
        }
        seen += 1;
        received.push(request);
        if (!fullDuplex) continue;
        if (sent >= (definition?.responseData.length ?? 0)) break;
        yield await next();
      }
      if (definition === undefined) return;
      while (sent < definition.responseData.length) yield await next();
      if (definition.error !== undefined) {
        throw failure(definition.error, sent === 0 ? infoOf(context, received) : undefined);
      }
    },
    unimplemented(): never {
      throw new ConnectError("this rpc is not implemented on purpose", Code.Unimplemented);
    },
  } as AnyService as PartialService<DescService>; // The rpcs are only known at run time.
}

function addMetadata(
  { responseHeaders, responseTrailers }: UnaryDefinition | StreamDefinition,
  context: HandlerContext,
): void {
  for (const { name, value } of responseHeaders) {
    for (const one of value) context.responseHeader.append(name, one);
  }
  for (const { name, value } of responseTrailers) {
    for (const one of value) context.responseTrailer.append(name, one);
  }
}

/** Metadata as the suite's `Header` messages, one for each name and value. */
export function toHeaders(fields: Iterable<[string, string]>): Pick<Header, "name" | "value">[] {
  return [...fields].map(([name, value]) => ({ name, value: value.split(",").map((one) => one.trim()) }));
}
