import { connect, type ClientHttp2Session } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TlsOptionsFor } from "../net/client-tls.ts";
import { closedEarly, connectFailure } from "./connect-failure.ts";
import { maxHeaderListBytes } from "./reply-status.ts";
import type { Address, Target } from "../net/target.ts";

/** An HTTP/2 session whose server has sent its SETTINGS. */
export interface Connected {
  readonly session: ClientHttp2Session;
  readonly socket: Socket;
}

/** How to connect. */
export interface ConnectOptions {
  /** TLS; undefined for plain text. */
  readonly tls: TlsOptionsFor | undefined;
  /** How long one address may need until the server's SETTINGS arrive, in milliseconds. */
  readonly timeoutMs: number;
  /** Cancels the attempt. */
  readonly signal: AbortSignal;
}

/** Bytes of a reply that a server may send before they are read, per stream. */
const streamWindowBytes = 1024 * 1024;
/** The same for all streams of a connection together. */
const connectionWindowBytes = 8 * 1024 * 1024;

/**
 * Connects to the first address of `target` where a server speaks HTTP/2. A host name means all its addresses of both
 * families, which Node tries in the order of RFC 8305.
 *
 * @throws ConnectError UNAVAILABLE if every address fails.
 */
export async function connectHttp2(target: Target, options: ConnectOptions): Promise<Connected> {
  let failure: unknown;
  for (const address of target.addresses) {
    try {
      return await connectTo(address, target, options);
    } catch (error) {
      failure = error;
      if (options.signal.aborted) break;
    }
  }
  throw failure;
}

function connectTo(address: Address, target: Target, options: ConnectOptions): Promise<Connected> {
  const { tls, timeoutMs, signal } = options;
  const socket = tls === undefined ? connectSocket(address) : connectTls({ ...tls(target.host), ...address });
  socket.setNoDelay(true);
  const session = connect(`${tls === undefined ? "http" : "https"}://localhost`, {
    createConnection: () => socket,
    // Each call bounds its own buffers; Node's limit would count the windows of all streams.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
    settings: {
      enablePush: false,
      initialWindowSize: streamWindowBytes,
      maxHeaderListSize: maxHeaderListBytes,
    },
  });
  let handshaken = false;
  if (tls !== undefined) socket.once("secureConnect", () => (handshaken = true));
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      session.off("close", onClose);
    };
    const fail = (error: unknown): void => {
      settle();
      session.destroy();
      socket.destroy();
      reject(connectFailure(error, { secure: tls !== undefined, handshaken }));
    };
    const aborted = (): void => fail(signal.reason);
    const onClose = (): void => fail(withCode("the connection was closed before HTTP/2 began", closedEarly));
    const timer = setTimeout(
      () => fail(withCode("the server did not answer in time", "ETIMEDOUT")),
      timeoutMs,
    );
    signal.addEventListener("abort", aborted, { once: true });
    // Both listeners stay: an `error` event without a listener would end the process.
    session.on("error", fail);
    socket.on("error", fail);
    session.once("close", onClose);
    session.once("connect", () => session.setLocalWindowSize(connectionWindowBytes));
    session.once("remoteSettings", () => {
      settle();
      resolve({ session, socket });
    });
  });
}

function withCode(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}
