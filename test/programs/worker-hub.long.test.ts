/** Rule 42, the worker bus: the hubs of two processes are one, without a broker. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { HubAdminService } from "../../gen/ts_ms/hub/v1/admin_pb.ts";
import { LiveService } from "../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../src/core/dial.ts";
import { connectHub } from "../../src/hub-client/connect-hub.ts";
import { Program } from "../support/program.ts";
import { eventually } from "../support/worker-program.ts";

const { followState, watchPeople } = LiveService.method;

/** The program, and its services by a connection of their own. */
class Workers {
  readonly program: Program;
  readonly http: string;
  readonly grpc: string;

  private constructor(program: Program, http: string, grpc: string) {
    this.program = program;
    this.http = http;
    this.grpc = grpc;
  }

  static async start(t: TestContext, ...args: readonly string[]): Promise<Workers> {
    const program = new Program(
      "test/programs/fixtures/worker-hub.ts",
      ...["--grpc-port=0", "--http-port=0", "--exporter-port=0", "--workers=2", ...args],
    );
    t.after(() => program[Symbol.asyncDispose]());
    await program.line(/^\[WORKERS\] primary/);
    return new Workers(program, await program.address("HTTP"), await program.address("GRPC"));
  }

  /** Asks a worker, whichever has the fewest connections. */
  async admin<T>(ask: (admin: ReturnType<typeof adminOf>) => Promise<T>): Promise<T> {
    const transport = dial(this.grpc);
    try {
      return await ask(adminOf(transport));
    } finally {
      transport.close();
    }
  }

  /** Publishes until it is known that the bus has it, with one id. */
  async publish(text: string, topic = "state"): Promise<void> {
    const json = { text };
    await eventually(`${text} is published`, () =>
      this.admin((admin) =>
        admin.publish({ topic, room: "r", message: { form: { case: "json", value: json } }, id: text }),
      ).then(
        () => true,
        () => undefined,
      ),
    );
  }

  nodeCounts(): Promise<readonly bigint[]> {
    return this.admin(async (admin) => Object.values((await admin.countConnections({ by: "node" })).groups));
  }
}

function adminOf(transport: Parameters<typeof createClient>[1]) {
  return createClient(HubAdminService, transport);
}

/** A member that comes back whatever happens: its texts, and `reset`. */
function member(t: TestContext, { http }: Workers, ways: readonly ("websocket" | "sse")[]) {
  const hub = connectHub(`http://${http}`, {
    transports: ways,
    backoff: { initialMs: 20, maxMs: 200 },
    onError: (error) => assert.fail(String(error)),
  });
  t.after(() => hub.close());
  const got: string[] = [];
  hub.subscribe(
    followState,
    { room: "r" },
    {
      message({ event }) {
        if (event.case === "text") got.push(event.value);
      },
      reset: () => void got.push("reset"),
    },
  );
  return got;
}

async function joined(workers: Workers, count: number): Promise<void> {
  await eventually(`${count} members`, async () => {
    const { connections } = await workers.admin((admin) =>
      admin.listConnections({ selector: { rooms: ["state/r"] } }),
    );
    return connections.length >= count ? true : undefined;
  });
}

const texts = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, place) => String(from + place));

test("members of both workers get what is published on either, and lists and presence see both", async (t) => {
  const workers = await Workers.start(t, "--hub-bus=worker");
  const members = Array.from({ length: 6 }, () => member(t, workers, ["websocket"]));
  await joined(workers, 6);
  assert.equal((await workers.nodeCounts()).length, 2, "connections of two nodes");
  for (const text of texts(0, 30)) await workers.publish(text);
  await eventually("all have everything", () => members.every((got) => got.length === 30) || undefined);
  for (const got of members) assert.deepEqual(got, texts(0, 30));
  const nodes = await workers.admin((admin) => admin.listNodes({}));
  assert.equal(nodes.nodes.length, 2);
  const hub = connectHub(`http://${workers.http}`, { transports: ["sse"] });
  t.after(() => hub.close());
  const users = [0, 0, 0, 0];
  for (const place of users.keys())
    hub.subscribe(
      watchPeople,
      { rooms: ["p"] },
      {
        message({ event }) {
          if (event.case === "presence") users[place] = Number(event.value.connections);
        },
      },
    );
  await eventually("all see all", () => users.every((count) => count === 4) || undefined);
  const { code } = await workers.program.stop();
  assert.equal(code, 0);
});

test("SIGHUP replaces both workers: nothing is lost, doubled or reset", async (t) => {
  const workers = await Workers.start(t, "--hub-bus=worker");
  const members = [
    ...Array.from({ length: 3 }, () => member(t, workers, ["websocket"])),
    member(t, workers, ["sse"]),
  ];
  await joined(workers, 4);
  const before = await workers.admin((admin) => admin.listNodes({}));
  let isReplacing = true;
  let last = 0;
  const publishing = (async () => {
    for (; isReplacing || last < 100; last++) {
      await workers.publish(String(last));
      await pause(20); // What a member has missed while it comes back must be within the topic's history.
    }
  })();
  for (let round = 0; round < 2; round++) {
    const known = new Set((await workers.admin((admin) => admin.listNodes({}))).nodes.map(({ id }) => id));
    workers.program.kill("SIGHUP");
    await eventually(
      "both are replaced",
      async () => {
        const { nodes } = await workers.admin((admin) => admin.listNodes({}));
        return nodes.length === 2 && nodes.every(({ id }) => !known.has(id)) ? true : undefined;
      },
      60_000,
    );
  }
  isReplacing = false;
  await publishing;
  assert.equal(before.nodes.length, 2);
  await eventually(
    "all have the last one",
    () => members.every((got) => got.at(-1) === String(last - 1)) || undefined,
  );
  for (const got of members) assert.deepEqual(got, texts(0, last));
});

test("a worker that is killed takes the history of its rooms with it: one reset, and everything after it", async (t) => {
  const workers = await Workers.start(t, "--hub-bus=worker");
  const members = Array.from({ length: 4 }, () => member(t, workers, ["websocket"]));
  await joined(workers, 4);
  for (const text of texts(0, 10)) await workers.publish(text);
  const [, first = ""] = await workers.program.line(/^\[WORKERS\] primary .* workers: (\d+),/);
  process.kill(Number(first), "SIGKILL");
  await pause(100);
  await joined(workers, 4);
  for (const text of texts(10, 20)) await workers.publish(text);
  await eventually("all have the last one", () => members.every((got) => got.at(-1) === "19") || undefined);
  for (const got of members) {
    const resets = got.filter((text) => text === "reset").length;
    // One that has come back from the dead worker may be told so at its join, and once more with the room's new epoch.
    assert.ok(resets <= 2, got.join());
    const after = resets === 0 ? got : got.slice(got.lastIndexOf("reset") + 1);
    assert.deepEqual(after, resets === 0 ? texts(0, 20) : texts(20 - after.length, 20));
  }
});

test("the memory bus is refused in workers, and with flags the worker bus is the default", async (t) => {
  const program = new Program(
    "test/programs/fixtures/worker-hub.ts",
    ...["--grpc-port=0", "--http-port=0", "--exporter-port=0", "--workers=2", "--hub-bus=memory"],
  );
  t.after(() => program[Symbol.asyncDispose]());
  await program.error(/--hub-bus: memory is one process, and this program has several workers/);
  const workers = await Workers.start(t, "--hub-name=mine");
  assert.equal(
    (
      await eventually("both", async () => {
        const { nodes } = await workers.admin((admin) => admin.listNodes({}));
        return nodes.length === 2 ? nodes : undefined;
      })
    ).length,
    2,
  );
});
