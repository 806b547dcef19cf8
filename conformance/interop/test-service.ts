import { createFileRegistry, fromBinary, type DescService } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type PartialService } from "../../src/index.ts";
import { goDescriptors } from "../tools.ts";

/** `grpc.testing.Payload` as it is used here. */
export interface Payload {
  readonly body: Uint8Array;
}

interface EchoStatus {
  readonly code: number;
  readonly message: string;
}

interface ResponseParameters {
  readonly size: number;
  readonly intervalUs: number;
}

interface SimpleRequest {
  readonly responseSize: number;
  readonly payload?: Payload;
  readonly responseStatus?: EchoStatus;
  readonly expectCompressed?: { readonly value: boolean };
}

interface StreamingOutputCallRequest {
  readonly responseParameters: readonly ResponseParameters[];
  readonly responseStatus?: EchoStatus;
}

interface StreamingInputCallRequest {
  readonly payload?: Payload;
  readonly expectCompressed?: { readonly value: boolean };
}

/** `grpc.testing.TestService`, from the module of the suite's client. */
export async function interopContract(): Promise<DescService> {
  const set = await goDescriptors("grpc-go-interop-client", "google.golang.org/grpc/interop/grpc_testing");
  const service = createFileRegistry(fromBinary(FileDescriptorSetSchema, set)).getService(
    "grpc.testing.TestService",
  );
  if (service === undefined) throw new Error("the module has no grpc.testing.TestService");
  return service;
}

/**
 * Returns for each message of a call, one after the other, whether it was compressed; undefined without a `WireTap`.
 */
export type WireCompression = (context: HandlerContext) => (() => boolean) | undefined;

/**
 * The server side of the interop suite, as specified.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md
 */
export function interopService(
  descriptor: DescService,
  compression: WireCompression = () => undefined,
): PartialService<DescService> {
  const rpcs = {
    emptyCall(_request: object, context: HandlerContext) {
      echoMetadata(context);
      return {};
    },

    unaryCall(request: SimpleRequest, context: HandlerContext) {
      echoMetadata(context);
      checkCompression(request.expectCompressed, compression(context));
      fail(request.responseStatus);
      return { payload: payload(request.responseSize) };
    },

    async *streamingOutputCall(request: StreamingOutputCallRequest, context: HandlerContext) {
      echoMetadata(context);
      for (const parameters of request.responseParameters) yield await response(parameters, context);
    },

    async streamingInputCall(requests: AsyncIterable<StreamingInputCallRequest>, context: HandlerContext) {
      echoMetadata(context);
      const flags = compression(context);
      let aggregatedPayloadSize = 0;
      for await (const request of requests) {
        checkCompression(request.expectCompressed, flags);
        aggregatedPayloadSize += request.payload?.body.length ?? 0;
      }
      return { aggregatedPayloadSize };
    },

    async *fullDuplexCall(requests: AsyncIterable<StreamingOutputCallRequest>, context: HandlerContext) {
      echoMetadata(context);
      for await (const { responseStatus, responseParameters } of requests) {
        fail(responseStatus);
        for (const parameters of responseParameters) yield await response(parameters, context);
      }
    },
  };
  return { descriptor, ...rpcs } as unknown as PartialService<DescService>; // The descriptor is only known at run time.
}

function echoMetadata({ requestHeader, responseHeader, responseTrailer }: HandlerContext): void {
  const initial = requestHeader.get("x-grpc-test-echo-initial");
  if (initial !== null) responseHeader.set("x-grpc-test-echo-initial", initial);
  const trailing = requestHeader.get("x-grpc-test-echo-trailing-bin");
  if (trailing !== null) responseTrailer.set("x-grpc-test-echo-trailing-bin", trailing);
}

function fail(status: EchoStatus | undefined): void {
  if (status !== undefined && status.code !== 0) throw new ConnectError(status.message, status.code);
}

function checkCompression(
  expected: { readonly value: boolean } | undefined,
  flags: (() => boolean) | undefined,
): void {
  if (flags === undefined) return;
  const compressed = flags();
  if (expected?.value === true && !compressed) {
    throw new ConnectError("the message is not compressed", Code.InvalidArgument);
  }
}

function payload(size: number): Payload {
  return { body: new Uint8Array(size) };
}

async function response({ size, intervalUs }: ResponseParameters, { signal }: HandlerContext) {
  if (intervalUs > 0) await pause(intervalUs / 1000, signal);
  return { payload: payload(size) };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}
