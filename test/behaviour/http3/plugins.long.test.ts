/** Plugins of Fastify over HTTP/3, seen by aioquic, as over HTTP/1.1 (edge rule 28). */
import assert from "node:assert/strict";
import { request as requestByHttp1 } from "node:https";
import { after, before, suite, test } from "node:test";
import { pythonPackages } from "../../../conformance/python-packages.ts";
import { http3Script, type ScriptedAnswer } from "../../support/http3-client.ts";
import {
  comparable,
  pluginRequests,
  registerPlugins,
  seen,
  type Answer,
  type Asked,
} from "../fastify/plugin-requests.ts";
import { startHttp3, type Http3Gateway } from "./http3-fixture.ts";

const env = await pythonPackages("aioquic==1.3.0");
const all: readonly Asked[] = pluginRequests.map(([, { method = "GET", path, headers = {}, body }]) => ({
  ...{ method, path, body },
  headers,
}));

function byHttp1(port: number, { method, path, headers, body }: Asked): Promise<Answer> {
  const more = { rejectUnauthorized: false, agent: false } as const;
  return new Promise((resolve, reject) => {
    const asked = requestByHttp1(
      { host: "127.0.0.1", port, method, path, headers: { host: "localhost", ...headers }, ...more },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const { statusCode: status = 0, headers: fields } = response;
          resolve({ status, headers: seen(fields), body: Buffer.concat(chunks) });
        });
      },
    );
    asked.on("error", reject).end(body);
  });
}

/** All requests of the table over one connection of HTTP/3. */
async function byHttp3(port: number): Promise<readonly Answer[]> {
  const steps = all.map(({ method, path, headers, body }) => ({
    ask: {
      ...{ method, path, binary: true },
      headers: Object.entries(headers).map(([name, value]) => [name, String(value)] as const),
      ...(body !== undefined && { body }),
    },
  }));
  const [outcome] = await http3Script(env, port, [{ steps }]);
  return (outcome?.results ?? []).map(answerOf);
}

/** An answer of aioquic, with its fields as Node gives them. */
function answerOf({ status, headers, base64 = "", ...broken }: ScriptedAnswer): Answer {
  assert.ok(broken.gone === undefined && broken.reset === undefined, JSON.stringify(broken));
  const values = new Map<string, string[]>();
  for (const [name, value] of headers) values.set(name, [...(values.get(name) ?? []), value]);
  const fields = Object.fromEntries(
    [...values].map(([name, all]) => [name, name === "set-cookie" ? all : all.join(", ")]),
  );
  return { status: status ?? 0, headers: seen(fields), body: Buffer.from(base64, "base64") };
}

suite("plugins of Fastify act alike over HTTP/1.1 and HTTP/3", () => {
  let gateway: Http3Gateway;
  let answers: readonly Answer[];
  before(async () => {
    gateway = await startHttp3({}, {}, [], ({ fastify }) => registerPlugins(fastify));
    answers = await byHttp3(gateway.udpPort);
  });
  after(() => gateway[Symbol.asyncDispose]());
  for (const [index, [what, , check]] of pluginRequests.entries()) {
    test(what, async () => {
      const [asked, three] = [all[index], answers[index]];
      assert.ok(asked !== undefined && three !== undefined);
      assert.ok(check(three), `${three.status} ${JSON.stringify(three.headers)} ${three.body.toString()}`);
      assert.deepEqual(comparable(three), comparable(await byHttp1(gateway.port, asked)));
    });
  }
});
