import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { flag, frameType, hpack, http2Frame, type RawHttp2 } from "../../support/http2-frames.ts";
import {
  attack,
  attackedPorts,
  begin,
  type Fields,
  gatewayPorts,
  grpcPort,
  whole,
} from "./attacked-ports.ts";
import { ask, openSession } from "./http2-fixture.ts";

const { headers, rstStream, continuation, data, goaway } = frameType;

const isAnswered = (seen: RawHttp2): boolean =>
  seen.closed ||
  seen.frames.some(({ type, streamId }) => streamId === 1 && (type === headers || type === rstStream));

/** A field of so many bytes that goes into the dynamic table, and is named so many times. */
function bomb(fields: Fields, bytes: number, times: number): Buffer {
  const literal = Buffer.concat([Buffer.from([0x40]), hpack([["x", "y".repeat(bytes)]]).subarray(1)]);
  return Buffer.concat([hpack(fields), literal, Buffer.alloc(times, 0xbe)]);
}

function many(fields: Fields, count: number): Buffer {
  return hpack([...fields, ...Array.from({ length: count }, (_, i) => [`x-${i}`, "v"] as const)]);
}

for (const port of attackedPorts) {
  const { fields } = port;
  const path = fields.find(([name]) => name === ":path")?.[1] ?? "";

  describe(port.name, () => {
    test("P08: malformed requests reset their stream", async (t) => {
      const server = await port.start(t);
      const without = (name: string) => fields.filter(([field]) => field !== name);
      const lists: Record<string, Fields> = {
        "upper-case name": [...fields, ["X-Upper", "v"]],
        connection: [...fields, ["connection", "keep-alive"]],
        "transfer-encoding": [...fields, ["transfer-encoding", "chunked"]],
        "te: x": [...without("te"), ["te", "x"]],
        "no method": without(":method"),
        "no path": without(":path"),
        "no scheme": without(":scheme"),
        "two paths": [...fields.slice(0, 3), [":path", path], ...fields.slice(3)],
        "pseudo header behind others": [...without(":path"), [":path", path]],
        "unknown pseudo header": [[":x", "y"], ...fields],
        "path without a slash": [...fields.slice(0, 2), [":path", "constructor"], ...fields.slice(3)],
        "empty path": [...fields.slice(0, 2), [":path", ""], ...fields.slice(3)],
      };
      for (const [name, list] of Object.entries(lists)) {
        const attacker = await attack(t, server);
        attacker.send(begin(1, hpack(list)));
        await attacker.until(`the reset for ${name}`, (seen) => seen.of(rstStream).length > 0 || seen.closed);
        const code =
          attacker.of(rstStream)[0]?.payload.readUInt32BE(0) ??
          attacker.of(goaway)[0]?.payload.readUInt32BE(4);
        assert.equal(code, 1, name);
        attacker.destroy();
      }
      assert.equal(server.calls(), 0);
      await server.assertSound();
    });

    test("P08, P16: odd paths are answered or reset, never more", async (t) => {
      const server = await port.start(t);
      for (const odd of [
        "/ü",
        "/\x80\xff",
        "/a b",
        "/%",
        "/%00",
        "//",
        "*",
        "/x#y",
        `/${"x".repeat(5000)}`,
      ]) {
        const attacker = await attack(t, server);
        const list = fields.map(([name, value]) => [name, name === ":path" ? odd : value] as const);
        attacker.send(http2Frame(headers, flag.endHeaders | flag.endStream, 1, hpack(list)));
        await attacker.until("the answer", isAnswered);
        attacker.destroy();
      }
      await server.assertAlive();
    });

    test("P10: a content-length that is not that of the body resets the stream or closes the connection", async (t) => {
      const server = await port.start(t);
      const body = port.body("hello");
      for (const length of [body.length - 1, body.length + 1, 0]) {
        const attacker = await attack(t, server);
        attacker.send(...whole(1, [...fields, ["content-length", String(length)]], body));
        await attacker.until("the reset", (seen) => seen.of(rstStream).length > 0 || seen.closed);
        const reset = attacker.of(rstStream)[0]?.payload.readUInt32BE(0);
        assert.equal(reset ?? 1, 1);
        assert.notEqual(reset ?? attacker.of(goaway)[0]?.payload.readUInt32BE(4), 0);
        attacker.destroy();
      }
      assert.ok(server.calls() <= port.callsOfWrongLength);
      await server.assertSound();
    });
  });
}

test("P07: header lists over the limit never hang on the gRPC port", async (t) => {
  const server = await grpcPort.start(t);
  const { fields } = grpcPort;
  for (const list of [many(fields, 120), many(fields, 400), bomb(fields, 3000, 8000)]) {
    const attacker = await attack(t, server);
    attacker.send(http2Frame(headers, flag.endHeaders | flag.endStream, 1, list));
    await attacker.until("the answer", isAnswered);
    attacker.destroy();
  }
  assert.equal(server.calls(), 0);
  await server.assertAlive();
});

for (const port of gatewayPorts) {
  test(`P07: header lists over the limit answer 431 on ${port.name}`, async (t) => {
    const gateway = await port.start(t);
    const { fields } = port;
    const lists: Record<string, Buffer> = {
      "many fields": many(fields, 120),
      "far too many fields": many(fields, 900),
      "one huge field": hpack([...fields, ["x", "y".repeat(16_350)]]),
      "an indexed field, repeated": bomb(fields, 500, 110),
    };
    for (const [name, list] of Object.entries(lists)) {
      const attacker = await attack(t, gateway);
      for (let at = 0; at < list.length; at += 16_000) {
        const last = at + 16_000 >= list.length;
        const end = (last ? flag.endHeaders : 0) | (at === 0 ? flag.endStream : 0);
        attacker.send(http2Frame(at === 0 ? headers : continuation, end, 1, list.subarray(at, at + 16_000)));
      }
      await attacker.until(`the body for ${name}`, (seen) => seen.closed || seen.of(data).length > 0);
      assert.match(attacker.of(data)[0]?.payload.toString() ?? "", /"code":8/, name);
      attacker.destroy();
    }
    const session = openSession(t, gateway.url);
    const { status } = await ask(session, { ":path": "/test/v1/echo/a", "x-large": "y".repeat(16_400) });
    assert.equal(status, 431);
    session.destroy();
    assert.equal(gateway.calls(), 0);
    await gateway.assertSound();
  });

  test(`P07: header lists far over the limit reset their stream on ${port.name}`, async (t) => {
    const gateway = await port.start(t);
    const attacker = await attack(t, gateway);
    const list = bomb(port.fields, 3000, 8000);
    attacker.send(http2Frame(headers, flag.endHeaders | flag.endStream, 1, list));
    await attacker.until("the reset", (seen) => seen.closed || seen.of(rstStream).length > 0);
    assert.equal(attacker.of(rstStream)[0]?.payload.readUInt32BE(0) ?? 0xb, 0xb);
    attacker.destroy();
    await gateway.assertSound();
  });

  test(`P11: an authority that is not the host is refused on ${port.name}`, async (t) => {
    const gateway = await port.start(t, { allowedHosts: ["good"] });
    const session = openSession(t, gateway.url);
    const path = "/test/v1/echo/a";
    const cases: readonly (readonly [Record<string, string>, number])[] = [
      [{ ":authority": "good" }, 200],
      [{ ":authority": "good:80", host: "GOOD:80" }, 200],
      [{ ":authority": "good", host: "evil" }, 400],
      [{ ":authority": "evil", host: "good" }, 400],
      [{ ":authority": "evil" }, 421],
    ];
    for (const [names, status] of cases) {
      const reply = await ask(session, { ":path": path, ...names });
      assert.equal(reply.status, status, JSON.stringify(names));
    }
    session.destroy();
    await gateway.assertNoSockets();
  });
}
