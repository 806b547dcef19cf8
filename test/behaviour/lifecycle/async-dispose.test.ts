import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Exporter } from "../../../src/core/telemetry/exporter.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Echo } from "../../support/echo-service.ts";

suite("await using", () => {
  const servers = {
    GrpcServer: () => new GrpcServer({ port: 0 }),
    HttpServer: () => new HttpServer({ port: 0, upstream: "127.0.0.1:1" }),
    Exporter: () => new Exporter({ port: 0, metrics: new Metrics() }),
  };
  for (const [name, create] of Object.entries(servers)) {
    test(`stops a ${name} that was started, and one that was not`, async () => {
      let kept: ReturnType<typeof create>;
      {
        await using server = create();
        await server.start();
        assert.equal(server.state, "ready");
        kept = server;
      }
      assert.equal(kept.state, "stop");
      {
        await using server = create();
        kept = server;
      }
      assert.equal(kept.state, "stop");
      await kept[Symbol.asyncDispose](); // A second time changes nothing.
    });
  }

  test("lets a call under way end", async () => {
    const echo = new Echo();
    let reply: Promise<{ text: string }>;
    {
      await using server = new GrpcServer({ port: 0 }).addService(echo);
      await server.start();
      const client = createClient(EchoService, dial(`127.0.0.1:${server.address?.port}`));
      reply = client.echo({ text: "late", behaviour: { sleepMs: 200 } });
      await echo.until(({ calls }) => calls === 1);
    }
    assert.equal((await reply).text, "late");
  });

  test("closes a transport that was dialled", async () => {
    await using server = new GrpcServer({ port: 0 }).addService(new Echo());
    await server.start();
    let client;
    {
      await using transport = dial(`127.0.0.1:${server.address?.port}`);
      await transport.ready();
      client = createClient(EchoService, transport);
      assert.equal((await client.echo({ text: "a" })).text, "a");
    }
    await assert.rejects(client.echo({ text: "b" }), { code: Code.Unavailable });
    {
      await using transport = dial(server);
      assert.equal((await createClient(EchoService, transport).echo({ text: "c" })).text, "c");
    }
  });
});
