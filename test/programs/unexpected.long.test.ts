import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createClient } from "../../src/core/call/client.ts";
import { dial } from "../../src/core/dial.ts";
import { Code } from "../../src/core/errors/errors.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { failure } from "../support/failure.ts";
import { Program } from "../support/program.ts";
import { doorClients } from "../support/door-clients.ts";

/** Makes every exception there is once, and what is none; returns the texts of the exceptions. */
async function provoke(program: Program): Promise<string[]> {
  const texts = ["own route"];
  const [grpc, http] = [await program.address("GRPC"), await program.address("HTTP")];
  const own = await fetch(`http://${http}/own`);
  assert.deepEqual(
    [own.status, await own.json()],
    [500, { code: 13, message: "internal error", details: [] }],
  );
  const planned = await fetch(`http://${http}/planned`);
  assert.equal(planned.status, 404);
  await planned.arrayBuffer();
  const transport = dial(grpc);
  const client = createClient(EchoService, transport);
  await failure(client.echo({ behaviour: { failure: { message: "over gRPC" } } }), Code.Internal);
  texts.push("over gRPC");
  await failure(client.echo({ behaviour: { failure: { code: 5, message: "not found" } } }), Code.NotFound);
  transport.close();
  const { clients, close } = await doorClients(Number(http.split(":")[1]), "", false);
  for (const [name, door] of clients) {
    for (const rpc of ["echo", "repeat"] as const) {
      if (rpc === "repeat" && name.startsWith("Connect GET")) continue;
      const text = `${rpc} through ${name}`;
      const behaviour = { failure: { message: text, after: 1 } };
      const request = rpc === "echo" ? { behaviour } : { behaviour, count: 2 };
      const { failure: found } = await door({ rpc, requests: [request] });
      assert.equal(found?.message, "internal error", text);
      texts.push(text);
      await door({ rpc, requests: [{ behaviour: { failure: { code: 3, message: "planned" } } }] });
    }
  }
  close();
  return texts;
}

function timesOf(text: string, part: string): number {
  return text.split(part).length - 1;
}

suite("exceptions that nobody planned", () => {
  for (const variant of ["default", "counted"]) {
    test(
      `are written to standard error once, with their stacks (${variant})`,
      { timeout: 60_000 },
      async () => {
        await using program = new Program("test/programs/fixtures/faulty-program.ts", variant);
        const texts = await provoke(program);
        assert.equal((await program.stop()).code, 0);
        const { errors } = program;
        for (const text of texts) {
          assert.equal(timesOf(errors, `: ${text}\n    at `), 1, `${text}\n${errors}`);
        }
        assert.equal(timesOf(errors, "unexpected exception in"), texts.length, errors);
        assert.match(
          errors,
          /unexpected exception in GET \/own: TypeError: own route\n {4}at .*faulty-program\.(?:ts|mjs)/,
        );
        assert.match(
          errors,
          /unexpected exception in tsms\.test\.v1\.EchoService\/Echo, grpc: Error: over gRPC\n/,
        );
        assert.doesNotMatch(errors, /planned|not found/);
      },
    );
  }

  test("are written to a logger that is given, once", { timeout: 60_000 }, async () => {
    await using program = new Program("test/programs/fixtures/faulty-program.ts", "logger");
    const texts = await provoke(program);
    await program.stop();
    const lines = program.errors
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { err: Error });
    assert.deepEqual(lines.map(({ err }) => err.message).toSorted(), texts.toSorted());
  });

  test("are not written again where an observer logs calls", { timeout: 60_000 }, async () => {
    await using program = new Program("test/programs/fixtures/faulty-program.ts", "logged");
    const texts = await provoke(program);
    await program.stop();
    assert.equal(timesOf(program.errors, "unexpected exception in"), 1, program.errors); // Of the own route.
    for (const text of texts)
      assert.equal(
        timesOf(program.errors, `"message":${JSON.stringify(text)}`),
        text === "own route" ? 0 : 1,
        text,
      );
  });

  test("are written nowhere with `logger: false`", { timeout: 60_000 }, async () => {
    await using program = new Program("test/programs/fixtures/faulty-program.ts", "silent");
    await provoke(program);
    await program.stop();
    assert.equal(program.errors, "");
  });
});
