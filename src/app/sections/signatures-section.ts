import type { DescMethod } from "@bufbuild/protobuf";
import type { Gate } from "../../core/admission/gate.ts";
import type { CallHead } from "../../core/admission/call-head.ts";
import { loadPeer } from "../../core/config/optional-peer.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { Selector } from "../../core/policy/selector.ts";
import { LocalReplayStore, RedisReplayStore, type ReplayStore } from "../../core/security/replay.ts";
import { KeyFile } from "./key-file.ts";
import { type GateWithKeys, KeyedGate, withoutGate } from "./keyed-gate.ts";
import { redisOf } from "./redis-of.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Calls that must be signed: which, and with which keys. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const isShared = kit.config.signatures?.replayStore === "redis";
  const replay = isShared ? new RedisReplayStore(redisOf(kit)) : new LocalReplayStore();
  const keyed = await KeyedGate.open(kit, "signatures.verify", (config) => gateOf(config, replay));
  const mustBeSigned = (method: DescMethod): boolean => keyed.current.gate?.concerns?.(method) === true;
  const gate: Gate = {
    name: "signatures",
    admit(call: CallHead) {
      // Which rpcs it concerns may change at a reload.
      if (mustBeSigned(call.method)) return keyed.current.gate?.admit(call);
    },
  };
  return {
    ...keyed.parts,
    gates: { signature: [gate] },
    policyOf: (method) => ({ signature: mustBeSigned(method) ? "required" : "" }),
  };
}

async function gateOf({ signatures }: Config, replay: ReplayStore): Promise<GateWithKeys> {
  const verify = signatures?.verify;
  if (verify === undefined) return withoutGate;
  const { keysFile, rpc, components, maxAge, streams } = verify;
  const { signatureGate } = await loadPeer(
    "http-message-sig",
    "the key signatures",
    () => import("../../core/security/signatures/signature-gate.ts"),
  );
  const { readSignatureKeys } = await import("../../core/security/signatures/signature-keys.ts");
  const file = await KeyFile.read(keysFile, readSignatureKeys);
  const gate = signatureGate({
    keys: () => file.value,
    rpc,
    components,
    maxAgeMs: maxAge,
    streams: streams === "headers" ? "headers" : "deny",
    replay,
  });
  return { gate, selectors: rpc.map((text) => new Selector(text)), files: [file] };
}
