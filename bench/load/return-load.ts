import { once } from "node:events";
import { connect } from "node:net";
import { linesTarget } from "../lines.ts";
import type { RoomPublisher } from "./room-load.ts";

/** Clients that come at the same time. */
const clientCount = 100;
/** Messages that each of them gets. */
const messageCount = 50;

/** Where the answer of a client stands. */
interface Client {
  /** Resolves when it has joined. */
  readonly joined: Promise<void>;
  /** Resolves when it has got its messages, or fails. */
  readonly served: Promise<void>;
  /** Its last position. */
  readonly position: () => string;
  close(): void;
}

/**
 * Clients of server-sent events that come, get 50 messages and leave: those that they have missed, behind a position, or
 * those that are published when they are there.
 */
export class ReturnLoad {
  readonly #port: number;
  readonly #publisher: RoomPublisher;
  /** Behind which 50 messages were published; undefined for clients that get live ones. */
  readonly #position: string | undefined;

  private constructor(port: number, publisher: RoomPublisher, position: string | undefined) {
    this.#port = port;
    this.#publisher = publisher;
    this.#position = position;
  }

  /** @param resumes whether clients come back by a position */
  static async open(port: number, publisher: RoomPublisher, resumes: boolean): Promise<ReturnLoad> {
    if (!resumes) return new ReturnLoad(port, publisher, undefined);
    const first = comes(port, undefined, 1);
    await first.joined;
    await publisher.publish(1);
    await first.served;
    const position = first.position();
    first.close();
    await publisher.publish(messageCount);
    return new ReturnLoad(port, publisher, position);
  }

  /** One round; resolves with the number of clients. */
  async run(): Promise<number> {
    const clients = Array.from({ length: clientCount }, () =>
      comes(this.#port, this.#position, messageCount),
    );
    if (this.#position === undefined) {
      await Promise.all(clients.map(({ joined }) => joined));
      for (let count = 0; count < messageCount; count++) await this.#publisher.publish(1);
    }
    await Promise.all(clients.map(({ served }) => served));
    for (const client of clients) client.close();
    return clientCount;
  }
}

/** A client comes. @param count how many messages it gets */
function comes(port: number, position: string | undefined, count: number): Client {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const resumes = position === undefined ? "" : `Last-Event-ID: ${position}\r\n`;
  socket.write(`GET ${linesTarget} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n${resumes}\r\n`);
  let text = "";
  const served = new Promise<void>((resolve, reject) => {
    socket.on("data", (data: Buffer) => {
      text += data.toString("latin1");
      if (text.split("\ndata: ").length > count) resolve();
    });
    socket.on("close", () => reject(new Error(`a client got no ${count} messages`)));
    socket.on("error", reject);
  });
  served.catch(() => {}); // Its reader awaits it later.
  return {
    joined: once(socket, "data").then(() => {}),
    served,
    position: () => /.*^id: (\S+)$/ms.exec(text)?.[1] ?? "",
    close: () => void socket.removeAllListeners("close").destroy(),
  };
}
