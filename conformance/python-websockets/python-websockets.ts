import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { HttpServer } from "../../src/gateway/http-server.ts";
import { GrpcServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { pythonChecks } from "../python-checks.ts";
import { Checks, type Suite } from "../suite.ts";
import { debianPackages, Missing } from "../tools.ts";

const run = promisify(execFile);

/** Debian's python3-websockets as a client of the library: all kinds of rpc, on their routes and on one socket. */
export const pythonWebSockets: Suite = {
  name: "python-websockets",
  async run() {
    const env = await environment();
    const checks = new Checks();
    const library = new LibraryService(seedLibrary());
    const grpc = new GrpcServer({ listen: false }).addService(library);
    const http = new HttpServer({ port: 0, upstream: grpc }).addService(library);
    for (const server of [grpc, http]) await server.start();
    try {
      const words = [join(import.meta.dirname, "library_client.py"), `ws://127.0.0.1:${http.address?.port}`];
      const { stdout } = await run("python3", words, { env, timeout: 300_000 });
      await pythonChecks(stdout.trimEnd().split("\n"), checks, 20);
    } finally {
      for (const server of [http, grpc]) await server.gracefulStop({ graceMs: 0 });
    }
    return checks.result;
  },
};

/**
 * The environment in which Python finds the package.
 *
 * @throws Missing if there is no Python 3, or the package cannot be installed or used.
 */
async function environment(): Promise<NodeJS.ProcessEnv> {
  await run("python3", ["--version"]).catch(() => {
    throw new Missing("Python 3 is not installed");
  });
  try {
    const root = await debianPackages("bookworm", ["python3-websockets"]);
    const env = { ...process.env, PYTHONPATH: join(root, "usr/lib/python3/dist-packages") };
    await run("python3", ["-c", "import websockets.legacy.client"], { env });
    return env;
  } catch (error) {
    if (error instanceof Missing) throw error;
    const reason = String(error).trim().split("\n").at(-1);
    throw new Missing(`python3-websockets of Debian bookworm cannot be had: ${reason}`);
  }
}
