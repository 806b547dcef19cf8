import assert from "node:assert/strict";
import { request as requestByHttp1 } from "node:http";
import { after, before, suite, test } from "node:test";
import { connect, type ClientHttp2Session } from "node:http2";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import {
  comparable,
  pluginRequests,
  registerPlugins,
  seen,
  type Answer,
  type Asked,
} from "./plugin-requests.ts";

function byHttp1(url: string, { method, path, headers, body }: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = requestByHttp1(url + path, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const { statusCode: status = 0, headers: fields } = response;
        resolve({ status, headers: seen(fields), body: Buffer.concat(chunks) });
      });
    });
    request.on("error", reject).end(body);
  });
}

function byHttp2(session: ClientHttp2Session, { method, path, headers, body }: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": method, ":path": path, ...headers });
    let head: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    stream.on("response", (fields) => (head = { ...fields }));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () =>
      resolve({ status: Number(head[":status"]), headers: seen(head), body: Buffer.concat(chunks) }),
    );
    stream.on("error", reject).end(body);
  });
}

suite("plugins of Fastify act alike over HTTP/1.1 and HTTP/2", () => {
  let gateway: Gateway;
  let session: ClientHttp2Session;
  before(async () => {
    gateway = await startGateway({}, [], ({ fastify }) => registerPlugins(fastify));
    session = connect(gateway.url);
  });
  after(async () => {
    session.destroy();
    await gateway[Symbol.asyncDispose]();
  });
  for (const [what, { method = "GET", path, headers = {}, body }, check] of pluginRequests) {
    test(what, async () => {
      const asked = { method, path, headers, body };
      const one = await byHttp1(gateway.url, asked);
      assert.ok(check(one), `${one.status} ${JSON.stringify(one.headers)} ${one.body.toString()}`);
      assert.deepEqual(comparable(await byHttp2(session, asked)), comparable(one));
    });
  }
});
