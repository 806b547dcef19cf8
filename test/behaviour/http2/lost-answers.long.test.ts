import assert from "node:assert/strict";
import { connect as connectHttp2, constants } from "node:http2";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { EchoService, type RepeatRequest } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { service } from "../../../src/core/call/service.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { testServerEngine } from "../../support/test-engine.ts";

/** A message that is longer than the window of a stream. */
const payload = Buffer.alloc(3_000_000);

/** Gives `payload`; of the stream, behind `count` small messages. */
const serviceOf = (payload: Uint8Array) =>
  service(EchoService, {
    async echo() {
      return { payload };
    },
    async *repeat({ count }: RepeatRequest) {
      for (let index = 0; index < count; index++) yield { index };
      yield { payload };
    },
  });

for (const kind of ["unary", "stream"] as const) {
  test(`T26: replies of a ${kind} rpc that are refused for their size never wear a connection out`, async (t) => {
    const grpc = new GrpcServer({ port: 0 }).addService(serviceOf(payload));
    await grpc.start();
    t.after(() => grpc.gracefulStop({ graceMs: 0 }));
    const transport = dial(`127.0.0.1:${grpc.address?.port}`, { maxMessageBytes: 65_536 });
    t.after(() => transport.close());
    const client = createClient(EchoService, transport);
    for (let round = 0; round < 40; round++) {
      const call = async (): Promise<void> => {
        if (kind === "unary") await client.echo({});
        else for await (const _reply of client.repeat({ count: 2 })) continue;
      };
      await assert.rejects(call(), (reason: unknown) => {
        assert.ok(reason instanceof ConnectError);
        assert.equal(reason.code, Code.ResourceExhausted);
        assert.equal(
          reason.rawMessage,
          "a message of the reply is larger than 65536 bytes",
          `round ${round}`,
        );
        return true;
      });
    }
  });
}

for (const path of ["/test/v1/echo/a", "/test/v1/repeat/a?count=1"]) {
  test(`answers of ${path} that clients leave halfway close their HTTP/2 connection in time`, async (t) => {
    // A tenth of what sessions may hold otherwise, of answers that are a tenth as large.
    const large = serviceOf(payload.subarray(0, 300_000));
    const grpc = new GrpcServer({ listen: false }).addService(large);
    const http = new HttpServer({
      upstream: grpc,
      port: 0,
      maxSessionMemoryBytes: 1e6,
      ...testServerEngine,
    }).addService(large);
    await grpc.start();
    await http.start();
    t.after(async () => {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    });
    const open = () => {
      const made = connectHttp2(`http://127.0.0.1:${http.address?.port}`);
      made.on("error", () => {});
      t.after(() => made.destroy());
      return made;
    };
    let session = open();
    let sessions = 1;
    for (let round = 0; round < 150; round++) {
      if (session.closed || session.destroyed) {
        session = open();
        sessions++;
      }
      const stream = session.request({ ":path": path });
      stream.pause();
      const code = await new Promise<number>((resolve) => {
        stream.on("error", () => {});
        stream.once("response", () => setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), 5));
        stream.once("close", () => resolve(stream.rstCode ?? 0));
      });
      // What crosses with the GOAWAY was not processed, and any client tries it again elsewhere.
      assert.ok(code === constants.NGHTTP2_CANCEL || code === constants.NGHTTP2_REFUSED_STREAM, `${code}`);
    }
    if (testServerEngine.engine === "node") assert.ok(sessions > 1);
    else assert.equal(sessions, 1); // Our own engine counts what it holds, and loses nothing.
  });
}
