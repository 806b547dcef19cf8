/** Keys of issuers and certificates of servers that change while calls are made: none of these may fail. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { renameSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { connect } from "node:tls";
import { jwt } from "../../src/core/security/auth-schemes.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import { Guarded } from "../behaviour/security/whoami.ts";
import { createCertificate } from "../support/certificates.ts";
import { Echo } from "../support/echo-service.ts";
import { createIssuerKey, FakeIssuer } from "../support/fake-issuer.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";

const rotations = 20;

/** Makes 500 calls in a second until it is disposed, and counts how they end. */
class Load implements AsyncDisposable {
  readonly outcomes = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();

  constructor(call: () => Promise<number>) {
    this.#timer = setInterval(() => {
      const ended = this.#count(call).finally(() => this.#open.delete(ended));
      this.#open.add(ended);
    }, 2);
  }

  async #count(call: () => Promise<number>): Promise<void> {
    const outcome = await call().then(String, String);
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
  }
}

test("U6 an issuer changes its key 20 times, and no call of 500 in a second fails", async () => {
  let key = await createIssuerKey("0");
  await using issuer = await FakeIssuer.start(key);
  await using guarded = await Guarded.start({
    providers: { corp: jwt({ issuer: issuer.url, audiences: ["library"], refreshMs: 1_000 }) },
  });
  let token = await issuer.token(key);
  const load = new Load(async () => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`http://${guarded.authority}/test/v1/echo/a`, { headers });
    await response.arrayBuffer();
    return response.status;
  });
  try {
    for (let round = 1; round <= rotations; round++) {
      const next = await createIssuerKey(String(round));
      // As issuers do it: a key is published before it signs, and the one before stays while its tokens are about.
      issuer.keys = [key.jwk, next.jwk];
      for (const before = issuer.fetches; issuer.fetches < before + 2;) await wait(10);
      key = next;
      token = await issuer.token(key);
    }
  } finally {
    await load[Symbol.asyncDispose]();
  }
  assert.deepEqual([...load.outcomes.keys()], ["200"]);
  assert.ok((load.outcomes.get("200") ?? 0) > 1_000);
});

test("a server's certificate changes 20 times, and no call of 500 in a second fails", async () => {
  await using files = await TemporaryFiles.create();
  const authority = createCertificate({ name: "authority" });
  const [cert, key] = [join(files.folder, "cert.pem"), join(files.folder, "key.pem")];
  const put = (): string => {
    const made = createCertificate({ name: "server", hosts: ["127.0.0.1"], issuer: authority });
    // Between the two, the files do not fit one another.
    for (const [file, text] of [[key, made.key] as const, [cert, made.cert] as const]) {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    }
    return new X509Certificate(made.cert).serialNumber;
  };
  put();
  const echo = new Echo();
  const grpc = new GrpcServer({ port: 0, logger: false }).addService(echo);
  const tls = { cert: { file: cert }, key: { file: key }, onReload: () => {} };
  const http = new HttpServer({ port: 0, upstream: grpc, tls, logger: false }).addService(echo);
  await http.start();
  const port = Number(http.address?.port);
  const kept = new Agent({ keepAlive: true, ca: authority.cert });
  const serial = async (): Promise<string> => {
    const socket = connect({ port, host: "127.0.0.1", ca: authority.cert });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  let made = 0;
  // Every tenth call has a connection of its own.
  const call = async (): Promise<number> => {
    const agent = made++ % 10 === 0 ? new Agent({ ca: authority.cert }) : kept;
    const asked = request({ port, host: "127.0.0.1", path: "/test/v1/echo/a", agent }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage]; // As its types have it.
    await once(response.resume(), "end");
    return response.statusCode ?? 0;
  };
  const load = new Load(call);
  try {
    for (let round = 1; round <= rotations; round++) {
      const current = put();
      while ((await serial()) !== current || made < round * 100) await wait(10);
    }
  } finally {
    await load[Symbol.asyncDispose]();
    kept.destroy();
    await http.gracefulStop({ graceMs: 0 });
  }
  assert.deepEqual([...load.outcomes.keys()], ["200"]);
});
