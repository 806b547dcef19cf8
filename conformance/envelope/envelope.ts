import { spawn } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { envelopeGate, readEnvelopeKeys } from "../../src/entries/envelope.ts";
import { startGateway } from "../../test/support/gateway-fixture.ts";
import { pythonChecks } from "../python-checks.ts";
import { pythonPackages } from "../python-packages.ts";
import { Checks, type Suite } from "../suite.ts";

/** PyPI's jwcrypto as a client of encrypted bodies, at REST and Connect. */
export const envelope: Suite = {
  name: "envelope",
  async run() {
    const env = await pythonPackages("jwcrypto==1.6.1");
    const checks = new Checks();
    const servers = [
      jwks("server-p256", generateKeyPairSync("ec", { namedCurve: "P-256" })),
      jwks("server-p521", generateKeyPairSync("ec", { namedCurve: "P-521" })),
      jwks("server-x25519", generateKeyPairSync("x25519")),
      jwks("server-rsa", generateKeyPairSync("rsa", { modulusLength: 2048 })),
    ];
    const signers = [
      jwks("ed25519", generateKeyPairSync("ed25519"), "sig"),
      jwks("es256", generateKeyPairSync("ec", { namedCurve: "P-256" }), "sig"),
      jwks("ps256", generateKeyPairSync("rsa", { modulusLength: 2048 }), "sig"),
    ];
    const clients = [
      jwks("client-p384", generateKeyPairSync("ec", { namedCurve: "P-384" }), "enc"),
      jwks("client-rsa", generateKeyPairSync("rsa", { modulusLength: 3072 }), "enc"),
    ];
    const set = [...servers.map(({ secret }) => secret), ...[...signers, ...clients].map(({ open }) => open)];
    const keys = readEnvelopeKeys(JSON.stringify({ keys: set }), "keys.json");
    await using gateway = await startGateway({
      gates: [envelopeGate({ keys: () => keys, rpc: ["tsms.test.v1.*"] })],
    });
    const child = spawn("python3", [join(import.meta.dirname, "envelope_client.py")], {
      env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.end(
      JSON.stringify({
        url: gateway.url,
        servers: servers.map(({ open }) => open),
        signers: signers.map(({ secret }) => secret),
        clients: clients.map(({ secret }) => secret),
      }),
    );
    await pythonChecks(createInterface({ input: child.stdout }), checks, 2 * 22);
    return checks.result;
  },
};

function jwks(kid: string, keys: { privateKey: KeyObject; publicKey: KeyObject }, use?: "sig" | "enc") {
  const more = { kid, ...(use && { use }) };
  return {
    secret: { ...keys.privateKey.export({ format: "jwk" }), ...more },
    open: { ...keys.publicKey.export({ format: "jwk" }), ...more },
  };
}
