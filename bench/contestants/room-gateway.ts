/**
 * A room of a hub behind every door. Its argument says what members want: `all`, by no filter; `matching`, by a filter
 * that every line passes; `tenth`, by one that a tenth of the members' lets pass. With `kept`, lines have positions; with
 * `joins` too, and clients may join as often as they like.
 */
import { BenchRoomsService } from "../../gen/tsms/test/v1/bench_rooms_pb.ts";
import { Hub, type TopicInit } from "../../src/entries/hub.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { lineOf } from "../lines.ts";
import { takePart } from "./take-part.ts";

const [wants = "all"] = process.argv.slice(2);
let joined = 0;

/** Two tests of headers. */
function filterOf(isMatching: boolean): ReturnType<typeof grant> {
  return grant(isMatching ? "de" : "fr");
}

function grant(lang: string) {
  return {
    filter: {
      all: [
        { header: "lang", is: lang },
        { header: "level", above: 3 },
      ],
    },
  };
}

const init: TopicInit = {
  ...(wants === "matching" && { authorize: () => filterOf(true) }),
  ...(wants === "tenth" && { authorize: () => filterOf(joined++ % 10 === 0) }),
  ...((wants === "kept" || wants === "joins") && { history: { size: 100 } }),
};
const hub = new Hub(wants === "joins" ? { joinsPerSecond: 0 } : {});
const lines = hub.topic(BenchRoomsService.method.followLines, init);
const service = { descriptor: BenchRoomsService, followLines: lines.serve };
const grpc = new GrpcServer({ port: 0, host: "127.0.0.1", hub });
const http = new HttpServer({ port: 0, host: "127.0.0.1", upstream: grpc, socketHeartbeatMs: 0 });
grpc.addService(service);
http.addService(service);
await grpc.start();
await http.start();

const options = { headers: { lang: "de", level: "5" } };
let published = 0;
takePart({
  port: (process.argv[3] === "grpc" ? grpc.address : http.address)?.port ?? 0,
  publish(count) {
    for (let i = 0; i < count; i++) {
      const { text, id } = lineOf(++published);
      void lines.publish("hall", { text }, { ...options, id });
    }
  },
});
