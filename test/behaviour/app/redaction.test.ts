import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { HandlerContext } from "@connectrpc/connect";
import { App } from "../../../src/app/app.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { callLogger } from "../../../src/core/telemetry/call-logger.ts";
import { flushLogs } from "../../../src/core/telemetry/log-writer.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { OtlpReceiver } from "../../support/otlp-receiver.ts";
import { curl } from "../../support/program.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { addressOf } from "./app-fixture.ts";

/** Logs the headers that it gets. */
const loggingEcho = {
  descriptor: EchoService,
  echo({ text }: { text: string }, context: HandlerContext) {
    callLogger(context).info({ headers: Object.fromEntries(context.requestHeader) }, "echo");
    return { text };
  },
};

suite("L4 what a configuration calls secret", () => {
  test("headers of keys, and names of log.redact, are in no line and no span, those of a reload too", async () => {
    await using files = await TemporaryFiles.create();
    const receiver = await new OtlpReceiver().start();
    const key = createApiKey("partner");
    const keysFile = await files.write("keys.json", [{ id: "partner", hash: key.hash }]);
    const [log, access] = [join(files.folder, "log"), join(files.folder, "access")];
    const write = (header: string): Promise<string> =>
      files.write("config.json", {
        http: { port: 0, forward_headers: ["x-shop-key", "x-other-key"] },
        grpc: { enabled: false },
        overload: { enabled: false },
        telemetry: {
          metrics: { port: "off" },
          log: { destination: log, redact: ["pin"] },
          access_log: { destination: access },
          tracing: { endpoint: receiver.url, sample_ratio: 1 },
        },
        access: { default: "public" },
        auth: { providers: { partners: { api_key: { header, keys_file: keysFile } } } },
      });
    const config = await write("x-shop-key");
    const app = (await App.load({ argv: ["--config", config], env: {} })).addService(loggingEcho);
    await app.start();
    try {
      for (const header of ["x-shop-key", "x-other-key"]) {
        await write(header);
        await app.reload();
        const url = `http://${addressOf(app, "http")}/test/v1/echo/a?pin=s3cret-pin&${header}=s3cret-query`;
        assert.equal((await curl("-H", `${header}: s3cret-key`, url)).status, 200);
      }
    } finally {
      await app.stop();
      await receiver.stop();
    }
    flushLogs();
    const lines = readFileSync(log, "utf8") + readFileSync(access, "utf8");
    assert.match(lines, /"x-shop-key":"\*\*\*"/);
    assert.match(lines, /"x-other-key":"\*\*\*"/);
    assert.match(lines, /pin=\*\*\*&x-other-key=\*\*\*/);
    assert.match(lines, /"door":"rest"[^\n]*"msg":"echo"/);
    assert.equal(receiver.spans.length, 2);
    assert.equal(receiver.spans[0]?.attributes["url.query"], "pin=***&x-shop-key=***");
    assert.doesNotMatch(lines + JSON.stringify(receiver.spans), /s3cret/);
  });
});
