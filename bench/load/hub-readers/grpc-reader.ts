import { connect, type ClientHttp2Session } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { BenchRoomsService, FollowLinesRequestSchema } from "../../../gen/tsms/test/v1/bench_rooms_pb.ts";
import { grpcMessage } from "../http2-frames.ts";
import { HubReader, inProtobuf } from "./hub-reader.ts";

/** Follows a room by gRPC, on a connection of its own. */
export class GrpcReader extends HubReader {
  #session: ClientHttp2Session | undefined;

  constructor(port: number, room: string, count: number, stalls: boolean) {
    super(port, room, count, stalls, inProtobuf);
  }

  protected connect(link: number): void {
    const session = (this.#session = connect(`http://127.0.0.1:${this.port}`));
    session.on("error", (error) => this.lost(link, error.message));
    const stream = session.request({
      ":method": "POST",
      ":path": `/${BenchRoomsService.typeName}/${BenchRoomsService.method.followLines.name}`,
      "content-type": "application/grpc",
      te: "trailers",
      ...(this.position !== undefined && { "last-event-id": this.position }),
    });
    stream.on("error", (error: Error) => this.lost(link, error.message));
    stream.on("close", () => this.lost(link, "closed early"));
    if (this.stalls) stream.once("data", () => stream.pause());
    else stream.on("data", (chunk: Buffer) => this.read(link, chunk.toString("latin1")));
    const message = create(FollowLinesRequestSchema, { room: this.room });
    stream.end(grpcMessage(toBinary(FollowLinesRequestSchema, message)));
  }

  protected disconnect(): void {
    this.#session?.destroy();
  }
}
