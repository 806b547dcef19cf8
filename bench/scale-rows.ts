import { makeCertificates } from "./certificates.ts";
import type { Program } from "./contestant.ts";
import { memoryOfConnections, timeOfConnections, type ConnectionKind } from "./open-connections.ts";
import type { Measured, Rig, Row } from "./rig.ts";

const gateway: Program = { file: "gateway.ts" };
const bare = (kind: "http" | "http2"): Program => ({ file: "bare-servers.ts", args: [kind] });

async function overTls(rig: Rig, measure: typeof memoryOfConnections): Promise<Measured> {
  const { folder, remove } = await makeCertificates();
  try {
    const subject = { file: "tls-gateway.ts", args: [folder] };
    return await measure("tls", subject, { file: "bare-servers.ts", args: ["https", folder] }, rig);
  } finally {
    await remove();
  }
}

function row(id: string, work: string, reference: string, must: number, measure: Row["measure"]): Row {
  return { id, work, subject: "gateway", reference, better: "lower", must, measure };
}

function plain(
  kind: ConnectionKind,
  reference: Program,
  measure: typeof memoryOfConnections,
): Row["measure"] {
  return (rig) => measure(kind, gateway, reference, rig);
}

/** What a connection costs a gateway: the figures of `docs/scale.md`. */
export const scaleRows: readonly Row[] = [
  row(
    "x1a",
    "live objects of an open connection, HTTP/1.1",
    "bare `node:http`",
    1.5,
    plain("http1", bare("http"), memoryOfConnections),
  ),
  row(
    "x1b",
    "live objects of an open connection, HTTP/2",
    "bare `node:http2`, whose state is mostly no object",
    5,
    plain("http2", bare("http2"), memoryOfConnections),
  ),
  row("x1c", "live objects of an open connection, HTTP/1.1 over TLS", "bare `node:https`", 3, (rig) =>
    overTls(rig, memoryOfConnections),
  ),
  row(
    "x2a",
    "a new connection with one call, HTTP/1.1",
    "bare `node:http`",
    2,
    plain("http1", bare("http"), timeOfConnections),
  ),
  row("x2b", "the same over TLS, a full handshake", "bare `node:https`", 1.5, (rig) =>
    overTls(rig, timeOfConnections),
  ),
];
