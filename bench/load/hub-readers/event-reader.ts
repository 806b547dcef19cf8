import { connect, type Socket } from "node:net";
import { HubReader, inJson } from "./hub-reader.ts";

/** Follows a room by server-sent events. */
export class EventReader extends HubReader {
  #socket: Socket | undefined;

  constructor(port: number, room: string, count: number, stalls: boolean) {
    super(port, room, count, stalls, inJson);
  }

  protected connect(link: number): void {
    const socket = (this.#socket = connect({ port: this.port, host: "127.0.0.1" }));
    const resumes = this.position === undefined ? [] : [`Last-Event-ID: ${this.position}`];
    const head = [`GET /bench/v1/rooms/${this.room}/lines:follow HTTP/1.1`, "Host: localhost"];
    socket.write(`${[...head, "Accept: text/event-stream", ...resumes].join("\r\n")}\r\n\r\n`);
    socket.on("error", (error) => this.lost(link, error.message));
    socket.on("close", () => this.lost(link, "closed early"));
    if (this.stalls) socket.once("data", () => socket.pause());
    else socket.on("data", (chunk: Buffer) => this.read(link, chunk.toString("latin1")));
  }

  protected disconnect(): void {
    this.#socket?.destroy();
  }
}
