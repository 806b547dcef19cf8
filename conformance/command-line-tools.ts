import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import assert from "node:assert/strict";
import { Checks, type Suite } from "./suite.ts";
import { goTool } from "./tools.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const limits = { timeout: 30_000 };

/** `grpcurl` and `grpc_health_probe` against the example programs. */
export const commandLineTools: Suite = {
  name: "command-line-tools",
  async run() {
    const grpcurl = await goTool("grpcurl");
    const probe = await goTool("grpc_health_probe");
    const checks = new Checks();
    const { child, address } = await startProgram("examples/grpc-only.ts");
    try {
      const ask = async (...words: string[]) => (await run(grpcurl, ["-plaintext", ...words], limits)).stdout;
      const library = "library.v1.LibraryService";
      await checks.check("grpcurl list", async () => {
        const listed = (await ask(address, "list")).split("\n");
        for (const name of ["go.micro.service.goms.GoMs", "go.micro.service.child.Child", library]) {
          assert.ok(listed.includes(name), `${name} is not listed`);
        }
      });
      await checks.check("grpcurl describe", async () => {
        assert.match(
          await ask(address, "describe", `${library}.GetBook`),
          /rpc GetBook \( \.library\.v1\.GetBookRequest \)/,
        );
        assert.match(await ask(address, "describe", "library.v1.Book"), /message Book \{/);
      });
      await checks.check("grpcurl calls without protos", async () => {
        const reply = await ask("-d", '{"id":"42"}', address, "go.micro.service.goms.GoMs/Get");
        assert.deepEqual(JSON.parse(reply), { message: "GoMs View" });
      });
      await checks.check("grpcurl shows code and details of an error", async () => {
        const name = "shelves/none/books/none";
        const failure = (await run(
          grpcurl,
          ["-plaintext", "-d", JSON.stringify({ name }), address, `${library}/GetBook`],
          limits,
        ).catch((error: unknown) => error)) as { code: number; stderr: string };
        assert.equal(failure.code, 64 + 5); // grpcurl exits with 64 plus the code.
        assert.match(failure.stderr, /Code: NotFound/);
        assert.match(failure.stderr, /google\.rpc\.ResourceInfo/);
      });
      await checks.check("grpcurl reads a stream", async () => {
        const words = [
          "-plaintext",
          "-max-time",
          "2",
          "-d",
          '{"parent":"shelves/-"}',
          address,
          `${library}/ListBooks`,
        ];
        assert.ok(JSON.parse((await run(grpcurl, words, limits)).stdout));
      });
      await checks.check("grpc_health_probe of the server", async () => {
        assert.match((await run(probe, [`-addr=${address}`], limits)).stderr, /SERVING/);
      });
      await checks.check("grpc_health_probe of a service", async () => {
        assert.match(
          (await run(probe, [`-addr=${address}`, `-service=${library}`], limits)).stderr,
          /SERVING/,
        );
      });
      await checks.check("grpc_health_probe of an unknown service", async () => {
        await assert.rejects(
          run(probe, [`-addr=${address}`, "-service=no.Such"], limits),
          /unknown service|NotFound|SERVICE_UNKNOWN/i,
        );
      });
    } finally {
      const closed = once(child, "exit");
      child.kill("SIGTERM");
      await closed;
    }
    return checks.result;
  },
};

/** Starts a gRPC program on free ports and waits until it prints its address. */
async function startProgram(path: string): Promise<{ child: ChildProcess; address: string }> {
  const flags = ["--grpc-port", "0", "--exporter-port", "off", "--log-level", "error"];
  const child = spawn(process.execPath, [join(root, path), ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /^\[GRPC\] listening on (\S+)$/.exec(line)?.[1];
    if (address !== undefined) {
      child.stdout.resume();
      return { child, address };
    }
  }
  throw new Error(`${path} ended before it listened`);
}
