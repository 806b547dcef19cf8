/**
 * Verifies one signed call again and again. Arguments: `gate` (the gate, with digest and nonces) or `bare` (`crypto.verify`
 * of as many bytes).
 */
import { generateKeyPairSync, verify } from "node:crypto";
import { createContextValues } from "@connectrpc/connect";
import type { CallHead } from "../../src/core/admission/call-head.ts";
import type { BodyCheck } from "../../src/core/call/body-check.ts";
import { usualSignature } from "../../src/core/security/signatures/usual-signature.ts";
import {
  LocalReplayStore,
  readSignatureKeys,
  requestSigner,
  signatureGate,
} from "../../src/entries/signatures.ts";
import { repeat, repeatAsync, takePart } from "./take-part.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const key = publicKey.export({ type: "spki", format: "pem" });
const keys = readSignatureKeys(JSON.stringify([{ id: "gw-1", alg: "ed25519", key }]), "keys.json");
const body = Buffer.from('{"sender":"a","receiver":"b","weight":7}');
const type = ["content-type", "application/json"] as const;
const signer = requestSigner({ keyId: "gw-1", key: privateKey, components: ["content-type"] });
const request = { method: "POST", targetUri: "http://127.0.0.1:8080/v1/parcels", fields: [type], body };
const fields = new Map([type, ...signer.sign(request)]);

/** The head of the call, as far as the gate reads it. */
function headOf(): CallHead & { readonly context: { bodyCheck: BodyCheck | undefined } } {
  const head = {
    door: "rest",
    method: { methodKind: "unary" },
    context: { values: createContextValues(), bodyCheck: undefined },
    httpMethod: "POST",
    target: "/v1/parcels",
    scheme: "http",
    authority: "127.0.0.1:8080",
    header: (name: string) => fields.get(name),
    headerValues: (name: string) => [fields.get(name) ?? []].flat(),
  };
  return head as unknown as ReturnType<typeof headOf>;
}

const store = new LocalReplayStore();
let count = 0;
const gate = signatureGate({
  keys: () => keys,
  replay: { claim: (text, ttlMs) => store.claim(`${text} ${count++}`, ttlMs) }, // The same call is a new one each time.
});

async function gated(): Promise<void> {
  const head = headOf();
  await gate.admit(head);
  await head.context.bodyCheck?.(body);
}

const signed = usualSignature(headOf(), "sig1");
if (signed === undefined) throw new Error("the signature is not of the usual form");
const { base, signature } = signed;

function bare(): void {
  if (!verify(null, base, publicKey, signature)) throw new Error("the signature does not hold");
}

const isGate = process.argv[2] === "gate";
takePart({
  work: (ms) => (isGate ? repeatAsync(ms, 1, gated) : repeat(ms, 10, bare)),
  sample: async () => {
    if (isGate) await gated();
    else bare();
    return "true";
  },
});
