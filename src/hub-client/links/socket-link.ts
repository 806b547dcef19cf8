import { ok, permissionDenied, unavailable } from "../call/codes.ts";
import { errorOfStatus, HubError, isObject } from "../call/hub-error.ts";
import type { HubMethod } from "../call/hub-method.ts";
import { lostEnd } from "./http.ts";
import { toReset } from "../call/hub-reset.ts";
import { silentMs, type Link, type LinkStream, type StreamListener, type StreamRequest } from "./link.ts";

/** How a socket is opened. */
export interface SocketOptions {
  /** `wss://host/ws` */
  readonly url: string;
  /** For all calls of the socket; undefined for none. */
  readonly token: string | undefined;
  /** The name of this client in the server's lists. */
  readonly client: string;
  /** Until it is open, in milliseconds. */
  readonly timeoutMs: number;
}

/** What a socket tells beside its calls. */
export interface SocketListener {
  /** The connection is gone; its streams end. */
  lost(link: Link, error: HubError): void;
  /** The server stops: calls should go to another connection. */
  leaving(link: Link): void;
  /** The identity of the socket ends soon. */
  expiring(): void;
  /** The new token is not that of the user of the socket. */
  refused(link: Link): void;
}

/** How long an answer to a question whether the server is there may take, in milliseconds. */
const answerMs = 3_000;

type Frame = Readonly<Record<string, unknown>>;

interface OpenStream {
  readonly method: HubMethod;
  readonly listener: StreamListener;
  /** Whether a hub serves it: such calls can be paused. */
  isJoined: boolean;
}

interface OpenCall {
  readonly method: HubMethod;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: HubError) => void;
  reply: unknown;
}

/** Opens a socket. @throws HubError UNAVAILABLE */
export function openSocket(options: SocketOptions, listener: SocketListener): Promise<SocketLink> {
  const { url, token, client, timeoutMs } = options;
  const socket = new WebSocket(token === undefined ? url : `${url}?$headers=frame`);
  return new Promise((resolve, reject) => {
    const fail = (why: string) => (): void => {
      clearTimeout(timer);
      socket.close();
      reject(new HubError(unavailable, why));
    };
    const timer = setTimeout(fail("the socket has not opened in time"), timeoutMs);
    const closed = fail("no socket can be opened");
    socket.addEventListener("close", closed);
    socket.addEventListener("error", closed);
    socket.addEventListener("open", () => {
      clearTimeout(timer);
      socket.removeEventListener("close", closed);
      socket.removeEventListener("error", closed);
      const link = new SocketLink(socket, listener);
      if (token !== undefined) socket.send(JSON.stringify({ headers: authorizationOf(token) }));
      socket.send(JSON.stringify({ hello: { client } }));
      resolve(link);
    });
  });
}

const authorizationOf = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

/** All streams and calls on one WebSocket, `/ws` of the gateway. */
export class SocketLink implements Link {
  readonly name = "websocket";
  readonly #socket: WebSocket;
  readonly #listener: SocketListener;
  readonly #streams = new Map<number, OpenStream>();
  readonly #calls = new Map<number, OpenCall>();
  #lastId = 0;
  #lastMs = Date.now();
  #watch: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** @param socket one that is open */
  constructor(socket: WebSocket, listener: SocketListener) {
    this.#socket = socket;
    this.#listener = listener;
    socket.addEventListener("message", ({ data }) => this.#take(String(data)));
    socket.addEventListener("close", () => this.#lose("the connection was lost"));
    this.#watchSilence(silentMs);
  }

  open({ method, request, after }: StreamRequest, listener: StreamListener): LinkStream {
    const id = ++this.#lastId;
    const stream = { method, listener, isJoined: false };
    const message = method.encode(request);
    this.#streams.set(id, stream);
    this.#send({
      id,
      method: method.path.slice(1),
      message,
      end: true,
      ...(after !== undefined && { headers: { "last-event-id": after } }),
    });
    const pause = (isPaused: boolean): void => {
      if (stream.isJoined && this.#streams.has(id)) this.#send({ id, pause: isPaused });
    };
    return {
      pause: () => pause(true),
      resume: () => pause(false),
      close: () => {
        if (this.#streams.delete(id)) this.#send({ id, cancel: true });
      },
    };
  }

  async call(method: HubMethod, request: unknown): Promise<unknown> {
    const id = ++this.#lastId;
    const message = method.encode(request);
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { method, resolve, reject, reply: undefined });
      this.#send({ id, method: method.path.slice(1), message, end: true });
    });
  }

  authorize(token: string): void {
    this.#send(authorizationOf(token));
  }

  /** Asks, if nothing has come for long: a message for no call gets an answer, whatever the server knows. */
  check(): void {
    if (this.#isClosed || Date.now() - this.#lastMs < silentMs) return;
    this.#send({ id: ++this.#lastId, message: {} });
    const askedMs = Date.now();
    setTimeout(() => {
      if (this.#lastMs < askedMs) this.close("the server is silent");
    }, answerMs);
  }

  close(why = "the connection was closed"): void {
    this.#socket.close(1000);
    this.#lose(why); // The closing handshake of a dead connection takes long.
  }

  #send(frame: Frame): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #watchSilence(ms: number): void {
    this.#watch = setTimeout(() => {
      this.check();
      const leftMs = silentMs - (Date.now() - this.#lastMs);
      this.#watchSilence(leftMs > 0 ? leftMs : silentMs);
    }, ms);
  }

  #lose(why: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#watch);
    const error = new HubError(unavailable, why);
    const streams = [...this.#streams.values()];
    const calls = [...this.#calls.values()];
    this.#streams.clear();
    this.#calls.clear();
    this.#listener.lost(this, error);
    for (const { listener } of streams) listener.ended(lostEnd(error));
    for (const { reject } of calls) reject(error);
  }

  #take(text: string): void {
    if (this.#isClosed) return;
    this.#lastMs = Date.now();
    const frame: unknown = JSON.parse(text);
    if (!isObject(frame)) return;
    if (typeof frame["id"] === "number") this.#takeOfCall(frame["id"], frame);
    else if ("goaway" in frame) this.#listener.leaving(this);
    else if ("expiring" in frame) this.#listener.expiring();
    else if (errorOfStatus(frame["status"])?.code === permissionDenied) this.#listener.refused(this);
  }

  #takeOfCall(id: number, frame: Frame): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) {
      try {
        this.#takeOfStream(id, stream, frame);
      } catch (reason) {
        this.#streams.delete(id);
        this.#send({ id, cancel: true });
        stream.listener.ended(lostEnd(reason));
      }
      return;
    }
    const call = this.#calls.get(id);
    if (call === undefined) return;
    if ("message" in frame) call.reply = frame["message"];
    if (!("status" in frame)) return;
    this.#calls.delete(id);
    const error = errorOfStatus(frame["status"]);
    if (error !== undefined && error.code !== ok) call.reject(error);
    else {
      try {
        call.resolve(call.method.decode(call.reply ?? {}));
      } catch (reason) {
        call.reject(reason as HubError); // `decode` throws no other.
      }
    }
  }

  #takeOfStream(id: number, stream: OpenStream, frame: Frame): void {
    const { method, listener } = stream;
    const position = typeof frame["position"] === "string" ? frame["position"] : undefined;
    const { joined, reset, status } = frame;
    listener.opened();
    if (isObject(joined)) {
      stream.isJoined = true;
      const { position: at, resume, reason } = joined;
      const begin = typeof at === "string" ? at : undefined;
      if (resume === "reset") listener.reset(toReset({ reason }), begin);
      else if (begin !== undefined) listener.moved(begin);
    } else if (isObject(reset)) {
      listener.reset(toReset(reset), typeof reset["position"] === "string" ? reset["position"] : position);
    } else if ("message" in frame) {
      const headers = isObject(frame["headers"]) ? (frame["headers"] as Record<string, string>) : {};
      const event = typeof frame["event"] === "string" ? frame["event"] : undefined;
      const confirm = headers["ts-ms-confirm"];
      listener.message(
        method.decode(frame["message"]),
        position,
        { event, headers },
        confirm === undefined ? undefined : () => this.#streams.has(id) && this.#send({ id, confirm }),
      );
    } else if (status !== undefined) {
      this.#streams.delete(id);
      const error = errorOfStatus(status);
      listener.ended({
        error: error?.code === ok ? undefined : error,
        retryMs: error?.retryMs,
        lost: false,
      });
    } else if (position !== undefined) listener.moved(position);
  }
}
