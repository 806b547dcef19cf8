import type { Program } from "./contestant.ts";
import { runDuel, samplesAre } from "./duel.ts";
import { makeTokens } from "./tokens.ts";
import { overHttp } from "./over-wire.ts";
import type { Row } from "./rig.ts";
import { send } from "./works.ts";

/** A program in two of its modes. */
function modes(file: string, subject: string, reference: string, ...args: readonly string[]) {
  const side = (mode: string): Program => ({ file, args: [mode, ...args] });
  return { subject: side(subject), reference: side(reference) };
}

/** A gateway whose callers have 1,000 tokens, before the same one by other means. */
function tokens(subject: string, reference: string): Row["measure"] {
  return async (rig) => {
    const { jwksFile, authorizations, remove } = await makeTokens(1_000);
    try {
      const sides = modes("guarded-gateway.ts", subject, reference, jwksFile);
      return await runDuel({ ...sides, ...overHttp({ ...send, authorizations }) }, rig);
    } finally {
      await remove();
    }
  };
}

/** What guards of calls cost: checks of messages, credentials. */
export const guardRows: readonly Row[] = [
  {
    id: "o9",
    work: "REST → handler in process, small POST",
    subject: "gateway with four rules of `buf.validate`",
    reference: "the same rpc without rules",
    better: "higher",
    must: 0.85,
    aim: 0.93,
    measure: (rig) =>
      runDuel({ ...modes("checked-gateway.ts", "Checked", "Unchecked"), ...overHttp(send) }, rig),
  },
  {
    id: "o3",
    work: "REST → handler in process, small POST, 1,000 tokens by turns",
    subject: "gateway that verifies JWTs and remembers them",
    reference: "the same without authentication",
    better: "higher",
    must: 0.92,
    aim: 0.96,
    measure: tokens("remembered", "off"),
  },
  {
    id: "o3n",
    work: "the same, each token as if it were new (RS256)",
    subject: "gateway that verifies JWTs",
    reference: "the same with a gate of `jose` alone",
    better: "higher",
    must: 0.85,
    aim: 0.95,
    measure: tokens("new", "jose"),
  },
  {
    id: "o10",
    work: "verify a signed call (RFC 9421, Ed25519)",
    subject: "`signatureGate`: signature, digest, nonce",
    reference: "bare `crypto.verify` of as many bytes",
    better: "higher",
    must: 0.4,
    aim: 0.65,
    measure: (rig) => runDuel({ ...modes("signatures.ts", "gate", "bare"), check: samplesAre(true) }, rig),
  },
];
