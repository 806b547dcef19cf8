import { readFile } from "node:fs/promises";
import type { Gate } from "../../core/admission/gate.ts";
import type { CallHead } from "../../core/admission/call-head.ts";
import { loadPeer } from "../../core/config/optional-peer.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { LocalReplayStore, RedisReplayStore, type ReplayStore } from "../../core/security/replay.ts";
import { redisOf } from "./redis-of.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Calls that must be signed: which, and with which keys. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const { config } = kit;
  const isShared = config.signatures?.replayStore === "redis";
  const replay = isShared ? new RedisReplayStore(redisOf(kit)) : new LocalReplayStore();
  let current = await gateOf(config, kit, replay);
  const gate: Gate = {
    name: "signatures",
    admit(call: CallHead) {
      // Which rpcs it concerns may change at a reload.
      if (current?.concerns?.(call.method) === true) return current.admit(call);
    },
  };
  return {
    gates: { signature: [gate] },
    policyOf: (method) => ({ signature: current?.concerns?.(method) === true ? "required" : "" }),
    async prepare({ next }) {
      const after = await gateOf(next, kit, replay); // The file of keys may be another one under the same name.
      return () => void (current = after);
    },
  };
}

/** The gate of a configuration; undefined where no call has to be signed. */
async function gateOf(
  { signatures }: Config,
  { mistake }: SectionKit,
  replay: ReplayStore,
): Promise<Gate | undefined> {
  const verify = signatures?.verify;
  if (verify === undefined) return undefined;
  const { keysFile, rpc, components, maxAge, streams } = verify;
  try {
    const { signatureGate } = await loadPeer(
      "http-message-sig",
      "the key signatures",
      () => import("../../core/security/signatures/signature-gate.ts"),
    );
    const { readSignatureKeys } = await import("../../core/security/signatures/signature-keys.ts");
    const keys = readSignatureKeys(await readFile(keysFile, "utf8"), keysFile);
    return signatureGate({
      keys: () => keys,
      rpc,
      components,
      maxAgeMs: maxAge,
      streams: streams === "headers" ? "headers" : "deny",
      replay,
    });
  } catch (error) {
    throw mistake("signatures.verify", error instanceof Error ? error.message : String(error));
  }
}
