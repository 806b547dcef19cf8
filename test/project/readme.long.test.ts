import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe, test } from "node:test";
import { curl, Program, run } from "../support/program.ts";
import { markedCommands } from "./marked-blocks.ts";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-readme-"));
after(() => rmSync(scratch, { recursive: true }));

const portOf = (address: string): string => /:(\d+)(?:\/|$)/.exec(address)?.[1] ?? "";

test("the first commands print what they are said to print", async () => {
  await using gateway = new Program(
    "examples/gateway.ts",
    "--http-port=0",
    "--grpc-port=0",
    "--exporter-port=0",
  );
  const ports = {
    8080: portOf(await gateway.address("HTTP")),
    42001: portOf(await gateway.address("GRPC")),
    4242: portOf(await gateway.metrics()),
  };
  const commands = [...markedCommands(root, "gateway"), ...markedCommands(root, "streams")];
  assert.ok(commands.length >= 9);
  for (const { command, output } of commands) {
    const { code, stdout, stderr } = await shell(atPorts(command, ports));
    assert.equal(code, 0, `${command}\n${stderr}`);
    assert.match(stdout, output ?? /^$/, command);
  }
});

test("messages are sent and calls are answered as shown", async () => {
  await using program = new Program("examples/messaging.ts", "--http-port=0", "--exporter-port=off");
  const port = portOf(await program.address("HTTP"));
  const commands = markedCommands(root, "messaging");
  assert.equal(commands.length, 2);
  for (const { command, output } of commands) {
    const { code, stdout, stderr } = await shell(atPorts(command, { 8080: port }));
    assert.equal(code, 0, `${command}\n${stderr}`);
    assert.match(stdout, output ?? /^$/, command);
  }
});

describe("http-only finds the contract of a server in every way that is shown", () => {
  const commands = markedCommands(root, "http-only");
  assert.equal(commands.length, 3);
  for (const { command } of commands) {
    test(command, async () => {
      await using grpc = new Program("examples/grpc-only.ts", "--grpc-port=0", "--exporter-port=off");
      const port = portOf(await grpc.address("GRPC"));
      const words = /^npm run http-only -- (.*)$/.exec(await contractsOf(command))?.[1]?.split(" ") ?? [];
      const flags = words.map((word) => (word === "50051" ? port : word));
      await using http = new Program(
        "examples/http-only.ts",
        ...flags,
        "--http-port=0",
        "--exporter-port=off",
      );
      await http.line(/\[HTTP\] GET \/v1\/shelves → library\.v1\.LibraryService\/ListShelves/);
      const { status, body } = await curl(`http://${await http.address("HTTP")}/v1/shelves/1`);
      assert.equal(status, 200);
      assert.match(body, /"theme":"Science fiction"/);
    });
  }
});

test("npm start serves, and frees its ports when npm is stopped", async () => {
  const flags = ["--http-port=0", "--grpc-port=0", "--exporter-port=off"];
  const npm = spawn("npm", ["start", "--", ...flags], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(npm, "close");
  let port = "";
  for await (const line of createInterface({ input: npm.stdout })) {
    port ||= portOf(/^\[HTTP\] listening on (\S+)$/.exec(line)?.[1] ?? "");
    if (line.startsWith("Try: ")) {
      assert.equal((await curl(`http://localhost:${port}/goms/42`)).status, 200);
      npm.kill("SIGTERM");
    }
  }
  await ended; // Every process that held the output is gone by now.
  const [error] = (await once(connect(Number(port), "127.0.0.1"), "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNREFUSED");
});

/** Makes what a command calls contract.binpb and shop.proto out of the library's contract. */
async function contractsOf(command: string): Promise<string> {
  const set = join(scratch, "contract.binpb");
  assert.equal((await run("buf", "build", "--path", "proto/library", "-o", set)).code, 0);
  const protos = join(scratch, "protos");
  mkdirSync(protos, { recursive: true });
  cpSync(join(root, "proto/library/v1/library.proto"), join(protos, "shop.proto"));
  return command
    .replace("contract.binpb", set)
    .replace("--proto shop.proto", `--proto ${join(protos, "shop.proto")}`)
    .replace("--proto-path protos", `--proto-path ${protos}`);
}

function atPorts(command: string, ports: Readonly<Record<string, string>>): string {
  return command.replace(/localhost:(\d+)/g, (_, port: string) => `127.0.0.1:${ports[port]}`);
}

function shell(command: string) {
  const quiet = command.replace(/^curl /, "curl -sS --max-time 25 ").replace(/^npx /, "");
  return run("sh", "-c", quiet);
}
