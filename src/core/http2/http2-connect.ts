import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Address, Target } from "../net/target.ts";
import {
  closedEarly,
  connectFailure,
  type ConnectStage,
  ConnectTimeout,
  withCode,
} from "./connect-failure.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { Http2Session } from "./http2-session.ts";
import type { Connected } from "./session.ts";

/** Bytes of a reply that a server may send before they are read, per stream. */
const streamWindowBytes = 1024 * 1024;
/** The same for all streams of a connection together. */
const connectionWindowBytes = 8 * 1024 * 1024;

/**
 * Connects to an address by `node:http2`.
 *
 * @throws ConnectError UNAVAILABLE if that fails.
 */
export function connectByNode(address: Address, target: Target, options: ConnectOptions): Promise<Connected> {
  const { tls, timeoutMs, signal, keepalive, http2 } = options;
  const socket = tls === undefined ? connectSocket(address) : connectTls({ ...tls(target.host), ...address });
  socket.setNoDelay(true);
  const session = connect(`${tls === undefined ? "http" : "https"}://localhost`, {
    createConnection: () => socket,
    // Each call bounds its own buffers; Node's limit would count the windows of all streams.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
    settings: {
      enablePush: false,
      initialWindowSize: streamWindowBytes,
      maxHeaderListSize: http2.maxHeaderListBytes,
    },
  });
  let stage: ConnectStage = "connecting";
  let bytesOfTls = 0;
  socket.once("connect", () => (stage = "connected"));
  if (tls !== undefined) {
    socket.once("secureConnect", () => {
      stage = "handshaken";
      bytesOfTls = socket.bytesRead;
    });
  }
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      session.off("close", onClose);
    };
    const fail = (error: unknown): void => {
      settle();
      const heard = socket.bytesRead > bytesOfTls;
      session.destroy();
      socket.destroy();
      reject(connectFailure(error, { secure: tls !== undefined, stage, heard }));
    };
    const aborted = (): void => fail(signal.reason);
    const onClose = (): void => fail(withCode("the connection was closed before HTTP/2 began", closedEarly));
    const timer = setTimeout(() => fail(new ConnectTimeout(timeoutMs)), timeoutMs);
    signal.addEventListener("abort", aborted, { once: true });
    // Both listeners stay: an `error` event without a listener would end the process.
    session.on("error", fail);
    socket.on("error", fail);
    session.once("close", onClose);
    session.once("connect", () => session.setLocalWindowSize(connectionWindowBytes));
    session.once("remoteSettings", () => {
      settle();
      resolve({
        start: (listener) => new Http2Session(session, socket, keepalive, listener),
        destroy: () => session.destroy(),
      });
    });
  });
}
