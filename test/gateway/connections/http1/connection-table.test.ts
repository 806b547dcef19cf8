import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { endianness } from "node:os";
import { test } from "node:test";
import { addressText, readConnections } from "../../../../src/gateway/connections/http1/connection-table.ts";

const addresses: readonly [address: string, text: string][] = [
  ["127.0.0.1", "0100007F"],
  ["10.20.30.40", "281E140A"],
  ["::1", "00000000000000000000000001000000"],
  ["::", "00000000000000000000000000000000"],
  ["2001:db8::ff00:42:8329", "B80D01200000000000FF000029834200"],
  ["fe80::1%eth0", "000080FE000000000000000001000000"],
  ["::ffff:127.0.0.1", "0000000000000000FFFF00000100007F"],
  ["1:2:3:4:5:6:7:8", "02000100040003000600050008000700"],
];

test("addresses are written as the table has them", { skip: endianness() !== "LE" }, () => {
  for (const [address, text] of addresses) assert.equal(addressText(address), text, address);
});

for (const host of ["127.0.0.1", "::1"]) {
  test(`a close that nobody reads stands in the table: ${host}`, async (t) => {
    if (process.platform !== "linux") return t.skip("only Linux has the table");
    const server = createServer({ pauseOnConnect: true }).listen(0, host);
    try {
      await once(server, "listening");
    } catch {
      return t.skip(`${host} is no address of this machine`);
    }
    const client = connect((server.address() as AddressInfo).port, host);
    const [socket] = (await once(server, "connection")) as [Socket]; // As the event says.
    void socket.remoteAddress; // Which it has lost after the reset.
    try {
      const before = await readConnections();
      assert.deepEqual(before?.connection(socket), { closedByPeer: false, retries: 0 });
      assert.equal(before?.listensFor(socket), true);
      client.end("something unread");
      await once(client, "finish");
      assert.equal((await readConnections())?.connection(socket)?.closedByPeer, true);
      client.resetAndDestroy();
      await once(client, "close");
      assert.equal((await readConnections())?.connection(socket), undefined);
    } finally {
      client.destroy();
      socket.destroy();
      server.close();
    }
  });
}
