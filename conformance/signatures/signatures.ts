import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
  readSignatureKeys,
  requestSigner,
  responseSigner,
  type SignatureAlgorithm,
  signatureGate,
} from "../../src/entries/signatures.ts";
import { startGateway } from "../../test/support/gateway-fixture.ts";
import { pythonChecks } from "../python-checks.ts";
import { pythonPackages } from "../python-packages.ts";
import { Checks, type Suite } from "../suite.ts";

/** A key as both sides know it. */
interface SharedKey {
  readonly id: string;
  readonly alg: SignatureAlgorithm;
  readonly private?: string;
  readonly public?: string;
  readonly secret?: string;
}

/** PyPI's http-message-signatures signs requests for a gateway, and verifies requests and answers that we have signed. */
export const signatures: Suite = {
  name: "signatures",
  async run() {
    const env = await pythonPackages("http-message-signatures==3.0.0");
    const keys = sharedKeys();
    const checks = new Checks();
    await verifyTheirs(env, keys, checks);
    await signForThem(env, keys, checks);
    return checks.result;
  },
};

function sharedKeys(): SharedKey[] {
  const pair = (
    alg: SignatureAlgorithm,
    keys: { privateKey: KeyObject; publicKey: KeyObject },
  ): SharedKey => ({
    id: `key-${alg}`,
    alg,
    private: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    public: keys.publicKey.export({ type: "spki", format: "pem" }).toString(),
  });
  return [
    pair("ed25519", generateKeyPairSync("ed25519")),
    pair("ecdsa-p256-sha256", generateKeyPairSync("ec", { namedCurve: "P-256" })),
    pair("rsa-pss-sha512", generateKeyPairSync("rsa", { modulusLength: 2048 })),
    { id: "key-hmac", alg: "hmac-sha256", secret: randomBytes(64).toString("base64") },
  ];
}

const signingKey = ({ private: pem = "", secret }: SharedKey): string | Buffer =>
  secret === undefined ? pem : Buffer.from(secret, "base64");

/** Their requests to our gateway, and our answers to them. */
async function verifyTheirs(
  env: NodeJS.ProcessEnv,
  keys: readonly SharedKey[],
  checks: Checks,
): Promise<void> {
  const records = keys.map(({ id, alg, public: pem, secret }) => ({ id, alg, key: pem ?? secret }));
  const known = readSignatureKeys(JSON.stringify(records), "keys.json");
  await using gateway = await startGateway({ gates: [signatureGate({ keys: () => known })] });
  const answers = createServer((request, response) => answer(keys, request, response)).listen(0, "127.0.0.1");
  await once(answers, "listening");
  const { port } = answers.address() as AddressInfo; // It listens.
  const child = peer(env);
  const task = {
    mode: "client",
    keys,
    url: `${gateway.url}/test/v1/echo`,
    answers: `http://127.0.0.1:${port}/a`,
  };
  child.stdin.end(`${JSON.stringify(task)}\n`);
  await pythonChecks(createInterface({ input: child.stdout }), checks, keys.length * 11);
  answers.close();
}

function answer(keys: readonly SharedKey[], request: IncomingMessage, response: ServerResponse): void {
  const key = keys.find(({ alg }) => alg === request.headers["x-alg"]) ?? assert.fail();
  const body = Buffer.from('{"answer":1}');
  const fields = responseSigner({ keyId: key.id, key: signingKey(key) }).sign({
    status: 203,
    fields: [],
    body,
    request: { method: "POST", targetUri: `http://${request.headers.host}${request.url}`, fields: [] },
  });
  request.resume();
  response.writeHead(203, Object.fromEntries(fields)).end(body);
}

/** Our requests to their server. */
async function signForThem(
  env: NodeJS.ProcessEnv,
  keys: readonly SharedKey[],
  checks: Checks,
): Promise<void> {
  const child = peer(env);
  child.stdin.write(`${JSON.stringify({ mode: "server", keys })}\n`);
  const [first] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const url = `http://127.0.0.1:${first}/pkg.Service/Method?a=%20b`;
  const body = Buffer.from('{"text":"ours"}');
  try {
    for (const key of keys) {
      const signer = requestSigner({ keyId: key.id, key: signingKey(key), components: ["content-type"] });
      const type = ["content-type", "application/json"] as const;
      const send = async (target: string, sent: Buffer) => {
        const fields = signer.sign({ method: "POST", targetUri: url, fields: [type], body });
        const headers = [type, ["x-key", key.id] as const, ...fields].map(
          ([name, value]): [string, string] => [name, value],
        );
        return fetch(target, { method: "POST", headers, body: sent });
      };
      await checks.check(`${key.alg} of ours: a signed call`, async () => {
        const response = await send(url, body);
        const told = (await response.json()) as { covered?: string[]; keyid?: string; problem?: string };
        assert.deepEqual([response.status, told.problem], [200, undefined]);
        const own = [
          '"@method"',
          '"@signature-params"',
          '"@target-uri"',
          '"content-digest"',
          '"content-type"',
        ];
        assert.deepEqual(told.covered, own);
        assert.equal(told.keyid, key.id);
      });
      await checks.check(`${key.alg} of ours: another body, another target`, async () => {
        assert.equal((await send(url, Buffer.from('{"text":"theirs"}'))).status, 401);
        assert.equal((await send(`${url}&b=1`, body)).status, 401);
      });
    }
  } finally {
    child.stdin.end();
    if (child.exitCode === null) await once(child, "exit");
  }
}

function peer(env: NodeJS.ProcessEnv) {
  const file = join(import.meta.dirname, "signatures_peer.py");
  return spawn("python3", [file], { env, stdio: ["pipe", "pipe", "inherit"] });
}
