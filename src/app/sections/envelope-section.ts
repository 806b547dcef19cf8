import type { CallHead } from "../../core/admission/call-head.ts";
import type { Gate } from "../../core/admission/gate.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { Selector } from "../../core/policy/selector.ts";
import { envelopeGate } from "../../core/security/envelope/envelope-gate.ts";
import {
  readEnvelopeKeys,
  readRecipient,
  type EnvelopeKeys,
} from "../../core/security/envelope/envelope-keys.ts";
import { loadJose } from "../../core/security/jose.ts";
import { KeyFile } from "./key-file.ts";
import { type GateWithKeys, KeyedGate, withoutGate } from "./keyed-gate.ts";
import type { SectionKit, SectionParts } from "./section.ts";

const none: EnvelopeKeys = { decryption: new Map(), verification: new Map(), recipients: new Map() };

/** Encrypted JSON bodies: of which rpcs they must be, and the keys. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const keyed = await KeyedGate.open(kit, "envelope", (config) => gateOf(config, kit));
  const gate: Gate = {
    name: "envelope",
    admit: (call: CallHead) => keyed.current.gate?.admit(call), // For which rpcs may change at a reload.
  };
  return {
    ...keyed.parts,
    gates: { envelope: [gate] },
    policyOf: (method) => ({
      envelope: keyed.current.selectors.some((one) => one.matches(method)) ? "required" : "",
    }),
  };
}

async function gateOf({ envelope }: Config, { mistake }: SectionKit): Promise<GateWithKeys> {
  if (envelope === undefined) return withoutGate;
  const { rpc, keysFile, encryptTo } = envelope;
  if (rpc.length > 0 && keysFile === undefined) {
    throw mistake("envelope.keys_file", "must be set: without keys no body of envelope.rpc can be opened");
  }
  await loadJose();
  const keys = keysFile === undefined ? undefined : await KeyFile.read(keysFile, readEnvelopeKeys);
  const to = encryptTo === undefined ? undefined : await KeyFile.read(encryptTo, readRecipient);
  return {
    gate: envelopeGate({ keys: () => keys?.value ?? none, rpc, encryptTo: () => to?.value }),
    selectors: rpc.map((text) => new Selector(text)),
    files: [keys, to].filter((file) => file !== undefined),
  };
}
