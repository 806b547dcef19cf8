import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv4 } from "node:net";

/** A record of a name. */
export type DnsRecord =
  | { readonly type: "A" | "AAAA"; readonly address: string; readonly ttl: number }
  | {
      readonly type: "SRV";
      readonly target: string;
      readonly port: number;
      readonly priority: number;
      readonly weight: number;
    };

/** What a server does with queries of a name: records, or a failure. */
export type DnsZone = Record<string, readonly DnsRecord[] | "servfail" | "silent">;

const types = { A: 1, AAAA: 28, SRV: 33 } as const;

/** A DNS server of this process: what real ones do not do on demand. Unknown names do not exist. */
export class DnsServer implements AsyncDisposable {
  readonly zone: DnsZone;
  /** Each query so far, such as `A users.test`. */
  readonly queries: string[] = [];
  /** The most queries of one name that waited for their answers at once. */
  mostAtOnce = 0;
  readonly #socket: Socket;
  readonly #waiting = new Map<string, number>();

  private constructor(zone: DnsZone, socket: Socket) {
    this.zone = zone;
    this.#socket = socket;
    socket.on("message", (message, { port, address }) => {
      const query = readQuery(message);
      this.queries.push(`${query.type} ${query.name}`);
      const waiting = (this.#waiting.get(query.name) ?? 0) + 1;
      this.#waiting.set(query.name, waiting);
      this.mostAtOnce = Math.max(this.mostAtOnce, waiting);
      setImmediate(() => {
        this.#waiting.set(query.name, (this.#waiting.get(query.name) ?? 0) - 1);
        const records = this.zone[query.name];
        if (records !== "silent") socket.send(replyTo(query, records), port, address);
      });
    });
  }

  static async start(zone: DnsZone): Promise<DnsServer> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new DnsServer(zone, socket);
  }

  /** As the option `servers` names it. */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, "close");
  }
}

interface Query {
  readonly id: Buffer;
  readonly question: Buffer;
  readonly name: string;
  readonly type: string;
}

function readQuery(message: Buffer): Query {
  const labels: string[] = [];
  let at = 12;
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const number = message.readUInt16BE(at + 1);
  const type = Object.entries(types).find(([, value]) => value === number)?.[0] ?? String(number);
  return {
    id: message.subarray(0, 2),
    question: message.subarray(12, at + 5),
    name: labels.join(".").toLowerCase(),
    type,
  };
}

function replyTo(
  { id, question, type }: Query,
  records: readonly DnsRecord[] | "servfail" | undefined,
): Buffer {
  const answers = Array.isArray(records)
    ? (records as readonly DnsRecord[]).filter((one) => one.type === type)
    : [];
  const code = records === undefined ? 3 : records === "servfail" ? 2 : 0;
  const head = Buffer.alloc(12);
  id.copy(head, 0);
  head.writeUInt16BE(0x8580 | code, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(answers.length, 6);
  return Buffer.concat([head, question, ...answers.map(answer)]);
}

function answer(record: DnsRecord): Buffer {
  const data = dataOf(record);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // The name of the question.
  head.writeUInt16BE(types[record.type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(record.type === "SRV" ? 7 : record.ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function dataOf(record: DnsRecord): Buffer {
  if (record.type === "SRV") {
    const head = Buffer.alloc(6);
    head.writeUInt16BE(record.priority, 0);
    head.writeUInt16BE(record.weight, 2);
    head.writeUInt16BE(record.port, 4);
    const labels = record.target.split(".").filter(Boolean);
    const parts = labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
    return Buffer.concat([head, ...parts, Buffer.of(0)]);
  }
  if (isIPv4(record.address)) return Buffer.from(record.address.split(".").map(Number));
  const [front = "", back = ""] = record.address.split("::");
  const groups = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((one) => parseInt(one, 16));
  const [left, right] = [groups(front), groups(back)];
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]));
}
