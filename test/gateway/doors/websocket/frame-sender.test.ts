import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import { ChatRequestSchema, ChatResponseSchema } from "../../../../gen/tsms/test/v1/echo_pb.ts";
import { startGateway } from "../../../support/gateway-fixture.ts";
import { frame, opcode, RawSocket, SocketClient } from "../../../behaviour/websocket/socket-client.ts";

/** Texts whose frames have heads of every size, in characters of one to four bytes, short and long ones mixed. */
const texts: string[] = [];
for (let length = 0; length < 260; length++) {
  for (const character of ["a", "é", "€", "😀"]) texts.push(character.repeat(length));
  if (length % 20 === 0) texts.push("b".repeat(4000 + length), "€".repeat(4000 + length), "c".repeat(70_000));
}

for (const socketCompression of [false, true]) {
  const how = socketCompression ? "compressed" : "plain";

  test(`${how} messages of every length arrive in order, as they were sent in one turn`, async () => {
    await using gateway = await startGateway({ socketCompression });
    const client = await new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`).open();
    client.send(...texts.map((text) => JSON.stringify({ text })), "");
    for (const text of texts) assert.equal((await client.json())["text"], text);
    assert.deepEqual(await client.end(), { status: 0, message: "", code: 1000 });
  });

  test(`${how} binary messages too`, async () => {
    await using gateway = await startGateway({ socketCompression });
    const client = await new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`, "proto").open();
    client.send(...texts.map((text) => toBinary(ChatRequestSchema, create(ChatRequestSchema, { text }))), "");
    for (const text of texts) {
      const { data, isBinary } = await client.next();
      assert.ok(isBinary);
      assert.equal(fromBinary(ChatResponseSchema, data).text, text);
    }
    assert.equal((await client.end()).code, 1000);
  });
}

for (const [what, bytes, code] of [
  ["breaks the protocol", frame(opcode.ping, "", { final: false }), 1002],
  ["sends what this socket does not speak", frame(opcode.binary, "{}"), 1003],
  ["closes", frame(opcode.close, Buffer.from([3, 232])), 1000],
] as const) {
  test(`what was sent in the same turn comes before the close frame of a client that ${what}`, async () => {
    await using gateway = await startGateway();
    const unknown = frame(opcode.text, '{"id":1,"method":"no.Such/Method"}');
    const raw = await RawSocket.open(gateway.port, "/ws", Buffer.concat([unknown, bytes]));
    assert.equal(await raw.closeCode(), code);
    const [first] = raw.frames;
    assert.equal(first?.opcode, opcode.text);
    assert.match(String(first?.data), /^{"id":1,"status":{"code":12,/);
  });
}
