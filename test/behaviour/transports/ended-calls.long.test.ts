import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { everyWay } from "../../support/transport-rig.ts";

everyWay("a reply has headers and trailers, and so has a copy of it", async (make) => {
  const { transport } = await make({
    service: service(EchoService, {
      echo(_, { responseHeader, responseTrailer }) {
        responseHeader.set("x-first", "1");
        responseTrailer.set("x-last", "2");
        return {};
      },
    }),
  });
  const reply = await transport.unary(EchoService.method.echo, undefined, undefined, undefined, {});
  const copy = { ...reply };
  for (const { stream, service: of, method, header, trailer, message } of [reply, copy]) {
    assert.deepEqual([stream, of, method], [false, EchoService, EchoService.method.echo]);
    assert.equal(message.$typeName, "tsms.test.v1.EchoResponse");
    assert.equal(header.get("x-first"), "1");
    assert.equal(trailer.get("x-last"), "2");
  }
  assert.equal(copy.header, reply.header);
});

test("calls that have ended go with the next young collection", async () => {
  // In a process of its own: the test runner keeps track of promises, and so keeps some of a call.
  const program = join(import.meta.dirname, "fixtures/ended-calls.ts");
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", program]);
  const left = JSON.parse(stdout) as Record<string, number>; // As the program prints it.
  assert.deepEqual(Object.keys(left), ["in process", "one server", "several servers"]);
  for (const [way, bytes] of Object.entries(left)) {
    assert.ok(bytes < 300, `${way}: ${bytes} bytes a call`);
  }
});
