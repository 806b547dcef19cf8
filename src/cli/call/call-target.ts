import type { Transport } from "@connectrpc/connect";
import { FlagError } from "../../core/errors/setup-error.ts";
import type { TargetFlagValues } from "../contracts/target-flags.ts";
import type { CallFlagValues } from "./call-flags.ts";
import type { HttpClient } from "./http-client.ts";

/** How a target is called. */
export type CallProtocol = "grpc" | "rest" | "connect";

/** The target of a call, as the command line has it. */
export interface CallTarget {
  /** `host:port` and other names of `dial`, or a URL without slashes at its end. */
  readonly name: string;
  readonly protocol: CallProtocol;
  /** Whether it is called by TLS, flags of gRPC aside. */
  readonly isHttps: boolean;
}

/** A transport that has to be closed. */
export interface OpenTransport {
  readonly transport: Transport;
  close(): void;
}

/** The largest message that is sent or received, in bytes. */
const maxMessageBytes = 256 * 1024 * 1024;

/** Reads a target. @throws FlagError for one that is none, or flags that do not go with it */
export function readTarget(text: string, flags: Pick<CallFlagValues, "rest" | "connect">): CallTarget {
  if (!/^https?:\/\//i.test(text)) {
    const flag = flags.rest ? "--rest" : flags.connect ? "--connect" : undefined;
    if (flag !== undefined) throw new FlagError(`${flag} calls by HTTP: give the target as http://${text}`);
    return { name: text, protocol: "grpc", isHttps: false };
  }
  const url = URL.parse(text);
  if (url === null || url.search !== "" || url.hash !== "" || url.username !== "") {
    throw new FlagError(
      `${text} must be a URL without user, query and fragment, such as http://localhost:8080`,
    );
  }
  const name = url.href.replace(/\/+$/, "");
  return { name, protocol: flags.connect ? "connect" : "rest", isHttps: url.protocol === "https:" };
}

/** The gRPC server at the host and port of a URL: it may have the contracts. */
export function grpcTargetOf({ name }: CallTarget): string {
  const { hostname, port, protocol } = new URL(name);
  return `${hostname}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}`;
}

/** The transport to a target. Nothing is connected before the first call. @throws SetupError for flags that are wrong */
export async function openTransport(target: CallTarget, flags: TargetFlagValues): Promise<OpenTransport> {
  const { targetDialOptions, targetTls } = await import("../contracts/target-flags.ts");
  if (target.protocol === "grpc") {
    const { dial } = await import("../../core/dial.ts");
    const transport = dial(target.name, { ...targetDialOptions(flags), maxMessageBytes });
    return { transport, close: () => transport.close() };
  }
  const { openHttpClient } = await import("./http-client.ts");
  const client = openHttpClient(targetTls(flags), flags.authority);
  return { transport: await httpTransport(target, client, true), close: () => client.close() };
}

/**
 * The transport to an HTTP target.
 *
 * @param isBinary whether Connect has messages as protobuf and not as JSON
 */
export async function httpTransport(
  { name: baseUrl, protocol }: CallTarget,
  client: HttpClient,
  isBinary: boolean,
): Promise<Transport> {
  if (protocol === "rest") return restTo(baseUrl, client.fetch);
  const { createTransport } = await import("@connectrpc/connect/protocol-connect");
  return createTransport({
    httpClient: client.universal,
    baseUrl,
    useBinaryFormat: isBinary,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1024,
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
  });
}

async function restTo(baseUrl: string, fetch: typeof globalThis.fetch): Promise<Transport> {
  const { restTransport } = await import("../../core/rest/rest-transport.ts");
  const options = { baseUrl, fetch, maxMessageBytes, deadlineHeader: "connect-timeout-ms" } as const;
  const ruled = restTransport(options);
  // Rules without a body cannot carry streams; gateways of this package have a path with one for every rpc.
  const streamed = restTransport({ ...options, fallback: "rpc-path" });
  return {
    unary: (...call) => ruled.unary(...call),
    stream: (method, ...call) =>
      (method.methodKind === "server_streaming" ? ruled : streamed).stream(method, ...call),
  };
}
