/** Bare loops over everybody who listens: by `ws`, by responses of Node, or by calls of grpc-js, as the argument says. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { toBinary, create, fromBinary } from "@bufbuild/protobuf";
import { Metadata, Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { WebSocketServer } from "ws";
import {
  BenchRoomsService,
  type FollowLinesRequest,
  FollowLinesRequestSchema,
  type FollowLinesResponse,
  FollowLinesResponseSchema,
} from "../../gen/tsms/test/v1/bench_rooms_pb.ts";
import { lineOf, type Line } from "../lines.ts";
import { takePart } from "./take-part.ts";

const [kind = "ws"] = process.argv.slice(2);

let published = 0;

function play(port: number, send: (line: Line) => void): void {
  takePart({
    port,
    publish(count) {
      for (let i = 0; i < count; i++) send(lineOf(++published));
    },
  });
}

const server = createServer();

function listen(send: (line: Line) => void): void {
  server.listen(0, "127.0.0.1", () => play((server.address() as AddressInfo).port, send)); // It listens on TCP.
}

switch (kind) {
  case "ws": {
    const sockets = new WebSocketServer({ server, perMessageDeflate: false });
    listen((line) => {
      const text = JSON.stringify(line);
      for (const socket of sockets.clients) socket.send(text);
    });
    break;
  }
  case "sse": {
    const responses = new Set<ServerResponse>();
    server.on("request", (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
      response.write("retry: 1000\n\n");
      responses.add(response);
      response.on("close", () => responses.delete(response));
    });
    listen((line) => {
      const text = `id: ${line.id}\ndata: ${JSON.stringify(line)}\n\n`;
      for (const response of responses) response.write(text);
    });
    break;
  }
  case "grpc": {
    const calls = new Set<ServerWritableStream<FollowLinesRequest, FollowLinesResponse>>();
    const { followLines } = BenchRoomsService.method;
    const definition = {
      path: `/${BenchRoomsService.typeName}/${followLines.name}`,
      requestStream: false,
      responseStream: true,
      requestSerialize: (message: FollowLinesRequest) =>
        Buffer.from(toBinary(FollowLinesRequestSchema, message)),
      requestDeserialize: (bytes: Buffer) => fromBinary(FollowLinesRequestSchema, bytes),
      responseSerialize: (message: FollowLinesResponse) =>
        Buffer.from(toBinary(FollowLinesResponseSchema, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(FollowLinesResponseSchema, bytes),
    };
    const rooms = new Server();
    rooms.addService(
      { followLines: definition },
      {
        followLines(call: ServerWritableStream<FollowLinesRequest, FollowLinesResponse>) {
          calls.add(call);
          call.sendMetadata(new Metadata()); // Else it would come with the first message.
          call.on("cancelled", () => calls.delete(call));
        },
      },
    );
    rooms.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error !== null) throw error;
      play(port, (line) => {
        const message = create(FollowLinesResponseSchema, line);
        for (const call of calls) call.write(message);
      });
    });
    break;
  }
  default:
    throw new Error(`there is no ${kind}`);
}
