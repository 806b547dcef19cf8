import { strict as assert } from "node:assert";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";

const root = join(import.meta.dirname, "../..");

/**
 * Starts and ends the service as systemd does by the units of deploy/systemd: its sockets are open before it, and stay
 * open while it is replaced. A shell holds them.
 */
const holder = `
while read -r word; do
  case $word in
    start) "$@" & child=$! ;;
    stop) kill -TERM "$child"; wait "$child"; echo "ended $?" ;;
  esac
done`;

/** The gateway as a service of systemd, with sockets that outlive it. */
export class SocketService implements AsyncDisposable {
  readonly #shell: ChildProcess;
  readonly #lines: Interface;
  readonly #targets: readonly string[];

  private constructor(shell: ChildProcess, lines: Interface, targets: readonly string[]) {
    this.#shell = shell;
    this.#lines = lines;
    this.#targets = targets;
  }

  /** @returns the service, with the ports of HTTP and of gRPC */
  static async open(): Promise<{
    readonly service: SocketService;
    readonly http: number;
    readonly grpc: number;
  }> {
    const sockets = [await listen(), await listen()] as const;
    const [http, grpc] = sockets.map((server) => (server.address() as AddressInfo).port); // They are listening.
    const shell = spawn("sh", ["-c", holder, "sh", process.execPath, ...programOf()], {
      stdio: ["pipe", "pipe", "inherit", ...sockets.map(descriptorOf)],
      env: { ...process.env, LISTEN_FDS: "2" },
    });
    // The shell has them now: what accepts is the service alone.
    for (const server of sockets) server.close();
    if (shell.stdout === null) throw new Error("the shell has no output");
    const targets = [`http://127.0.0.1:${http}/readyz`, `grpc://127.0.0.1:${grpc}`];
    const service = new SocketService(shell, createInterface({ input: shell.stdout }), targets);
    return { service, http: http ?? 0, grpc: grpc ?? 0 };
  }

  /** Starts the program, and waits as ExecStartPost does. */
  async start(): Promise<void> {
    this.#shell.stdin?.write("start\n");
    const health = join(root, "deploy/container/health.mjs");
    const asked = spawn(process.execPath, [health, "--wait", "60s", ...this.#targets], { stdio: "inherit" });
    assert.deepEqual(await once(asked, "exit"), [0, null]);
  }

  /** Ends the program by SIGTERM. @returns its exit code */
  async stop(): Promise<number> {
    const ended = new Promise<number>((resolve) => {
      const look = (line: string): void => {
        const code = /^ended (\d+)$/.exec(line)?.[1];
        if (code === undefined) return;
        this.#lines.off("line", look);
        resolve(Number(code));
      };
      this.#lines.on("line", look);
    });
    this.#shell.stdin?.write("stop\n");
    return ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#shell, "exit");
    this.#shell.stdin?.end();
    await ended;
  }
}

/** The command of the unit, by the sources. */
function programOf(): string[] {
  const unit = readFileSync(join(root, "deploy/systemd/ts-ms-gateway.service"), "utf8");
  const [, , ...args] = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(" ") ?? [];
  assert.ok(args.includes("--http-host=fd:3") && args.includes("--grpc-host=fd:4"));
  return [
    join(root, "examples/gateway.ts"),
    ...args.filter((arg) => !arg.startsWith("$")),
    ...["--exporter-port=off", "--log-level=error"],
  ];
}

async function listen(): Promise<Server> {
  const server = createServer().listen({ port: 0, host: "127.0.0.1", backlog: 4_096 });
  await once(server, "listening");
  return server;
}

/** The file descriptor of a server, which Node has no other way to pass on. */
function descriptorOf(server: Server): number {
  const { _handle: handle } = server as unknown as { _handle: { fd: number } }; // As Node has it, of libuv on Unix.
  return handle.fd;
}
