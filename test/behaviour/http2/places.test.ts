import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { constants } from "node:http2";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { ask, openSession } from "./http2-fixture.ts";

test("E12: requests that their client resets keep their places until their handlers have settled", async (t) => {
  const places = 3;
  const { promise, resolve: settle } = Promise.withResolvers<void>();
  let running = 0;
  let begun = 0;
  let most = 0;
  const service = {
    descriptor: EchoService,
    async echo({ text }: { readonly text: string }) {
      begun++;
      most = Math.max(most, ++running);
      if (text !== "good") await promise;
      running--;
      return { text };
    },
  };
  const grpc = new GrpcServer({ listen: false, logger: false }).addService(service);
  const http = new HttpServer({ port: 0, upstream: grpc, maxConcurrentStreams: places, logger: false });
  http.addService(service);
  await http.start();
  t.after(() => http.gracefulStop({ graceMs: 0 }));
  const session = openSession(t, `http://127.0.0.1:${http.address?.port}`);
  for (let round = 0; round < 30; round++) {
    const before = begun;
    const stream = session.request({ ":path": "/test/v1/echo/slow" });
    stream.on("error", () => {});
    for (let turn = 0; turn < 100 && begun === before; turn++) await nextTurn();
    stream.close(constants.NGHTTP2_CANCEL);
  }
  assert.deepEqual([begun, running, most], [places, places, places]);
  const good = ask(session, { ":path": "/test/v1/echo/good" });
  settle();
  assert.equal((await good).status, 200);
  assert.deepEqual([running, most <= places + 1], [0, true]);
});
