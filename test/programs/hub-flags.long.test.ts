import assert from "node:assert/strict";
import { test } from "node:test";
import { curl, Program } from "../support/program.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

test("flags give the gateway a hub, whose admin service asks for the token of the file", async () => {
  await using files = await TemporaryFiles.create();
  const token = await files.write("token", "root-token\n");
  await using program = new Program(
    "examples/gateway.ts",
    ...["--http-port=0", "--grpc-port=0", "--exporter-port=off"],
    ...["--hub-bus=memory", "--hub-max-per-user=5", "--hub-admin-token", token],
  );
  const url = `http://${await program.address("HTTP")}/hub/v1/nodes`;
  const ask = (bearer: string) => curl("-H", `authorization: ${bearer}`, url);
  const { status, body } = await ask("Bearer root-token");
  assert.equal(status, 200, body);
  assert.match(body, /"local":true/);
  assert.equal((await ask("Bearer another")).status, 403);
  assert.equal((await curl(url)).status, 401);
  assert.equal((await program.stop()).code, 0);
});

test("a bus that is not there, and a token beside other credentials, are refused by name", async () => {
  await using files = await TemporaryFiles.create();
  const token = await files.write("token", "root-token\n");
  const rows = [
    [["--hub-bus=amqp://127.0.0.1"], /--hub-bus.*must be one of memory/],
    [["--hub-admin-token", token, "--access-default=public"], /--hub-admin-token/],
  ] as const;
  for (const [args, message] of rows) {
    await using program = new Program("examples/gateway.ts", ...args);
    await program.error(message);
    assert.equal((await program.exit()).code, 2);
  }
});
