import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { jwt } from "../../../src/core/security/auth-schemes.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createIssuerKey, FakeIssuer } from "../../support/fake-issuer.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { curl, Guarded } from "./whoami.ts";

const key = await createIssuerKey("one");

/** How each kind of client sees the end of an open stream: its code, and when, in seconds since 1970. */
const clients: readonly (readonly [name: string, open: (at: Guarded, token: string) => Promise<number>])[] = [
  [
    "gRPC",
    async ({ grpcAuthority }, token) => {
      const client = createClient(EchoService, createGrpcTransport({ baseUrl: `http://${grpcAuthority}` }));
      try {
        const replies = client.repeat({ text: "x" }, { headers: { authorization: `Bearer ${token}` } });
        for await (const { text } of replies) assert.equal(text, "ada");
      } catch (error) {
        assert.ok(error instanceof ConnectError);
        return error.code;
      }
      return 0;
    },
  ],
  [
    "SSE",
    async ({ authority }, token) => {
      const headers = ["-H", `Authorization: Bearer ${token}`, "-H", "Accept: text/event-stream"];
      const { body } = await curl("--no-buffer", ...headers, `http://${authority}/test/v1/repeat/x`);
      const [, data = "{}"] = /event: error\ndata: (.*)/.exec(body) ?? [];
      return (JSON.parse(data) as { code?: number }).code ?? 0;
    },
  ],
  [
    "WebSocket",
    async ({ authority }, token) => {
      const headers = { authorization: `Bearer ${token}` };
      const socket = await new SocketClient(`ws://${authority}/test/v1/repeat/x`, ["json"], {
        headers,
      }).open();
      return (await socket.closed).code - 4000;
    },
  ],
];

suite("S22: open streams end with UNAUTHENTICATED", () => {
  for (const [name, open] of clients) {
    test(`${name}: when the token ends, after the skew of clocks`, async () => {
      await using issuer = await FakeIssuer.start(key);
      await using guarded = await Guarded.start({
        providers: { corp: jwt({ issuer: issuer.url, audiences: ["library"], clockSkewMs: 1_000 }) },
      });
      const exp = Math.floor(Date.now() / 1_000) + 2;
      assert.equal(await open(guarded, await issuer.token(key, { exp })), Code.Unauthenticated);
      const afterMs = Date.now() - exp * 1_000;
      assert.ok(afterMs >= 1_000 && afterMs < 5_000, `${afterMs} ms after the end`);
    });

    test(`${name}: within 5 s of a revocation`, async () => {
      await using issuer = await FakeIssuer.start(key);
      await using files = await TemporaryFiles.create();
      const revokedFile = await files.write("revoked", "");
      await using guarded = await Guarded.start({
        providers: { corp: jwt({ issuer: issuer.url, audiences: ["library"] }) },
        revokedFile,
      });
      const ended = open(guarded, await issuer.token(key, { jti: "t-1" }));
      while (guarded.service.calls === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      const begin = Date.now();
      await files.write("revoked", "jti:t-1\n");
      assert.equal(await ended, Code.Unauthenticated);
      assert.ok(Date.now() - begin < 5_000, `${Date.now() - begin} ms`);
    });
  }
});
