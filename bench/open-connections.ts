import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { Contestant, type Program } from "./contestant.ts";
import { median, type Measured, type Rig } from "./rig.ts";
import { find } from "./works.ts";

/** How a client connects. */
export type ConnectionKind = "http1" | "http2" | "tls";

/** A connection that has had one answer. */
interface Connected {
  close(): void;
}

const request = `GET ${find.target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;

/** Opens a connection, and makes one call on it. A connection over TLS resumes none before it. */
async function open(kind: ConnectionKind, port: number): Promise<Connected> {
  if (kind === "http2") {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const stream = session.request({ ":path": find.target });
    stream.resume();
    await once(stream, "end");
    return { close: () => session.destroy() };
  }
  const options = { host: "127.0.0.1", port };
  const socket = kind === "tls" ? connectTls({ ...options, rejectUnauthorized: false }) : connect(options);
  socket.write(request);
  const [bytes] = (await once(socket, "data")) as [Buffer]; // Those of a socket without an encoding.
  if (!bytes.includes("HTTP/1.1 200")) throw new Error(`no good answer: ${bytes.toString("latin1")}`);
  return { close: () => socket.destroy() };
}

async function openAll(kind: ConnectionKind, port: number, count: number): Promise<readonly Connected[]> {
  const all: Connected[] = [];
  while (all.length < count) {
    const some = Array.from({ length: Math.min(50, count - all.length) }, () => open(kind, port));
    all.push(...(await Promise.all(some)));
  }
  return all;
}

/**
 * Live objects of a server for each open connection that had one call, in KiB, of both sides. What OpenSSL and the kernel
 * keep for it is not among them; resident memory is no measure, since the heap gives back and takes more than that.
 */
export function memoryOfConnections(
  kind: ConnectionKind,
  subject: Program,
  reference: Program,
  rig: Rig,
): Promise<Measured> {
  const count = Math.max(10, Math.ceil(rig.calls / 200));
  return compare(subject, reference, rig, "KiB", async (contestant) => {
    // What the server needs for any connection at all is there before.
    const first = await openAll(kind, contestant.port, count);
    const before = await contestant.liveBytes();
    const more = await openAll(kind, contestant.port, 3 * count);
    const after = await contestant.liveBytes();
    for (const one of [...first, ...more]) one.close();
    return Math.max(1, after - before) / more.length / 1_024;
  });
}

/** Processor time of a server for a connection with its handshake and one call, in microseconds, of both sides. */
export function timeOfConnections(
  kind: ConnectionKind,
  subject: Program,
  reference: Program,
  rig: Rig,
): Promise<Measured> {
  const count = Math.max(10, Math.ceil(rig.calls / 100));
  return compare(subject, reference, rig, "µs", async (contestant) => {
    const connectAndClose = async (times: number): Promise<void> => {
      for (let done = 0; done < times; done += 50) {
        for (const one of await openAll(kind, contestant.port, Math.min(50, times - done))) one.close();
      }
    };
    await connectAndClose(count);
    const before = await contestant.usage();
    await connectAndClose(count);
    return ((await contestant.usage()).cpuUs - before.cpuUs) / count;
  });
}

async function compare(
  subject: Program,
  reference: Program,
  rig: Rig,
  unit: string,
  measure: (contestant: Contestant) => Promise<number>,
): Promise<Measured> {
  const one = async (program: Program): Promise<number> => {
    const contestant = await Contestant.start(program, rig);
    try {
      return await measure(contestant);
    } finally {
      await contestant.stop();
    }
  };
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < rig.rounds; round++) {
    ours.push(await one(subject));
    theirs.push(await one(reference));
  }
  const text = (values: readonly number[]): string => `${median(values).toFixed(1)} ${unit}`;
  return {
    subject: text(ours),
    reference: text(theirs),
    ratios: ours.map((value, round) => value / (theirs[round] ?? Number.NaN)),
    rounds: { subject: ours, reference: theirs },
    remarks: [],
  };
}
