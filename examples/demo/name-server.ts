import { createSocket } from "node:dgram";
import { once } from "node:events";

/** A DNS server of this process, for a demo. */
export interface NameServer extends AsyncDisposable {
  /** As the option `dns.servers` of `dial` names it. */
  readonly address: string;
}

/** Starts a DNS server that answers every query for IPv4 addresses with these, for 5 s. */
export async function startNameServer(addresses: readonly string[]): Promise<NameServer> {
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    // The question begins behind the head of 12 bytes: labels, an empty one, type and class.
    const nameEnd = query.indexOf(0, 12) + 1;
    const asked = query.readUInt16BE(nameEnd) === 1 ? addresses : [];
    const head = Buffer.from([...query.subarray(0, 2), 0x85, 0x80, 0, 1, 0, asked.length, 0, 0, 0, 0]);
    // Each answer points at the name of the question; type A, class IN, TTL, four bytes.
    const answers = asked.map((one) =>
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, ...one.split(".").map(Number)]),
    );
    socket.send(Buffer.concat([head, query.subarray(12, nameEnd + 4), ...answers]), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, "close");
    },
  };
}
