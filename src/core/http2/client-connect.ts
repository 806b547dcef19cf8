import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { Code, ConnectError } from "../errors/errors.ts";
import type { TlsOptionsFor } from "../net/client-tls.ts";
import { probeAfter } from "../net/keepalive.ts";
import type { Address, Target } from "../net/target.ts";
import { ClientSession } from "./client-session.ts";
import {
  closedEarly,
  connectFailure,
  type ConnectStage,
  ConnectTimeout,
  withCode,
} from "./connect-failure.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { errorCode, Http2Error } from "./http2-error.ts";
import type { Connected } from "./session.ts";

/**
 * What all connections read into: nothing of it is used after the call that reports it. Small reads need no buffer of
 * their own, and idle connections none at all.
 */
const readBuffer = Buffer.allocUnsafeSlow(65_536);

/**
 * The last TLS session of each server, by the connection's own certificates and names: a handshake that resumes it needs
 * neither certificates nor signatures.
 */
const tickets = new WeakMap<TlsOptionsFor, Map<string, Buffer>>();

/**
 * Connects to an address by our own engine.
 *
 * @throws ConnectError UNAVAILABLE if that fails.
 */
export function connectByOwnEngine(
  address: Address,
  target: Target,
  options: ConnectOptions,
): Promise<Connected> {
  const { tls, timeoutMs, signal, keepalive } = options;
  const { tcpMs } = keepalive;
  return new Promise((resolve, reject) => {
    let stage: ConnectStage = "connecting";
    let heard = false;
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    };
    const fail = (error: unknown): void => {
      settle();
      socket.destroy();
      reject(connectFailure(error, { secure: tls !== undefined, stage, heard }));
    };
    const giveUp = (): void => fail(signal.reason);
    const timer = setTimeout(() => fail(new ConnectTimeout(timeoutMs)), timeoutMs);
    signal.addEventListener("abort", giveUp, { once: true });
    const onread = {
      buffer: readBuffer,
      callback: (bytes: number): boolean => {
        if (!heard && isHttp1(bytes)) {
          fail(speaksHttp1());
          return true;
        }
        heard = true;
        session.read(readBuffer, bytes);
        return true;
      },
    };
    const socket: Socket =
      tls === undefined
        ? connectSocket({ ...address, onread })
        : connectTls({ ...tls(target.host), ...address, ...{ onread }, ...resumption(tls, target.host) });
    const session = new ClientSession(socket, options, {
      onReady: () => {
        settle();
        resolve(session);
      },
      onFailed: (error) => fail(asNodeSays(error, options)),
    });
    if (tls !== undefined) socket.on("session", (ticket: Buffer) => keepTicket(tls, target.host, ticket));
    socket.setNoDelay(true);
    if (tcpMs > 0) probeAfter(socket, tcpMs);
    socket.once("connect", () => (stage = "connected"));
    socket.once(tls === undefined ? "connect" : "secureConnect", () => {
      if (tls !== undefined) stage = "handshaken";
      const protocol = tls === undefined ? "h2" : (socket as TLSSocket).alpnProtocol; // Made by `connectTls`.
      if (protocol === "h2") session.greet();
      else fail(noHttp2(protocol));
    });
  });
}

function resumption(tls: TlsOptionsFor, host: string): { readonly session?: Buffer } {
  const session = tickets.get(tls)?.get(host);
  return session === undefined ? {} : { session };
}

function keepTicket(tls: TlsOptionsFor, host: string, ticket: Buffer): void {
  const known = tickets.get(tls) ?? new Map<string, Buffer>();
  tickets.set(tls, known.set(host, ticket));
}

/** The error of a connection that ended before it was of use, with the code that Node's own HTTP/2 would give. */
function asNodeSays(error: unknown, { http2 }: ConnectOptions): unknown {
  if (error === undefined) return withCode("the connection was closed before HTTP/2 began", closedEarly);
  if (!(error instanceof Http2Error)) return error;
  if (error.code === errorCode.settingsTimeout) return new ConnectTimeout(http2.settingsTimeoutMs);
  return withCode(error.message, "ERR_HTTP2_ERROR");
}

/** Whether the first bytes of a server are an answer of HTTP/1. @param bytes how many of the buffer they are */
function isHttp1(bytes: number): boolean {
  return bytes >= http1.length && readBuffer.toString("latin1", 0, http1.length) === http1;
}

const http1 = "HTTP/1.";

function speaksHttp1(): ConnectError {
  return new ConnectError("the server speaks HTTP/1.1, is this its gRPC port?", Code.Unavailable);
}

function noHttp2(protocol: string | false | null): ConnectError {
  const found = typeof protocol === "string" ? protocol : "none";
  return new ConnectError(`the server does not speak HTTP/2 (ALPN: ${found})`, Code.Unavailable);
}
