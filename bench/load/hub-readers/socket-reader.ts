import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { BenchRoomsService } from "../../../gen/tsms/test/v1/bench_rooms_pb.ts";
import { textFrame, upgradeRequest } from "../socket-frames.ts";
import { HubReader, inJson } from "./hub-reader.ts";

const method = `${BenchRoomsService.typeName}/${BenchRoomsService.method.followLines.name}`;

/** Follows a room by a call on a socket for many calls. */
export class SocketReader extends HubReader {
  #socket: Socket | undefined;

  constructor(port: number, room: string, count: number, stalls: boolean) {
    super(port, room, count, stalls, inJson);
  }

  protected connect(link: number): void {
    const socket = (this.#socket = connect({ port: this.port, host: "127.0.0.1" }));
    socket.on("error", (error) => this.lost(link, error.message));
    socket.on("close", () => this.lost(link, "closed early"));
    socket.write(upgradeRequest("/ws"));
    void this.#call(socket, link);
  }

  protected disconnect(): void {
    this.#socket?.destroy();
  }

  async #call(socket: Socket, link: number): Promise<void> {
    try {
      await once(socket, "data");
    } catch {
      return; // The listener above tells it.
    }
    if (this.stalls) socket.once("data", () => socket.pause());
    else socket.on("data", (chunk: Buffer) => this.read(link, chunk.toString("latin1")));
    const headers = this.position === undefined ? undefined : { "last-event-id": this.position };
    socket.write(textFrame('{"hello":{}}'));
    socket.write(textFrame(JSON.stringify({ id: 1, method, headers, message: { room: this.room } })));
  }
}
