import type { Program } from "./contestant.ts";
import { makeCertificates } from "./certificates.ts";
import { makeCookies } from "./cookies.ts";
import { runDuel, samplesAre } from "./duel.ts";
import type { HttpWork } from "./load/http-load.ts";
import { makeTokens } from "./tokens.ts";
import { overHttp, overHttps } from "./over-wire.ts";
import type { Row } from "./rig.ts";
import { send } from "./works.ts";

/** The header that says who makes a request. */
export function inTurns(authorizations: readonly string[]): NonNullable<HttpWork["turns"]> {
  return { header: "Authorization", values: authorizations };
}

/** A gateway whose callers have the cookies of 2,000 sessions, each decrypted once and remembered. */
const cookies: Row["measure"] = async (rig) => {
  const { keysFile, cookies: values, remove } = await makeCookies(2_000);
  const file = "session-gateway.ts";
  try {
    const work = { ...send, turns: { header: "Cookie", values } };
    return await runDuel(
      { subject: { file, args: [keysFile] }, reference: { file }, ...overHttp(work) },
      rig,
    );
  } finally {
    await remove();
  }
};

/** A gateway over TLS whose clients have certificates. */
const certificates: Row["measure"] = async (rig) => {
  const { folder, identity, remove } = await makeCertificates();
  try {
    const sides = modes("ruled-gateway.ts", "certificate", "tls", folder);
    return await runDuel({ ...sides, ...overHttps(send, identity) }, rig);
  } finally {
    await remove();
  }
};

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
      return await runDuel({ ...sides, ...overHttp({ ...send, turns: inTurns(authorizations) }) }, rig);
    } finally {
      await remove();
    }
  };
}

/** What guards of calls cost: checks of messages, credentials. */
export const guardRows: readonly Row[] = [
  {
    id: "o2a",
    work: "REST → handler in process, small POST",
    subject: "gateway with 1,000 access rules",
    reference: "the same with one",
    better: "higher",
    must: 0.98,
    aim: 1,
    measure: (rig) => runDuel({ ...modes("ruled-gateway.ts", "1000", "1"), ...overHttp(send) }, rig),
  },
  {
    id: "o2b",
    work: "the same over TLS with client certificates",
    subject: "gateway whose callers must be authenticated by them",
    reference: "the same that does not ask",
    better: "higher",
    must: 0.98,
    aim: 1,
    measure: certificates,
  },
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
    id: "o8",
    work: "REST → handler in process, small POST, 2,000 sessions by turns",
    subject: "gateway that reads sessions from cookies",
    reference: "the same without sessions",
    better: "higher",
    must: 0.75,
    aim: 0.9,
    measure: cookies,
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
