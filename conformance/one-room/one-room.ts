import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ChatService } from "../../src/services/chat/chat-service.ts";
import { Hub } from "../../src/entries/hub.ts";
import { createClient, dial, GrpcServer, HttpServer } from "../../src/index.ts";
import { ChatService as descriptor } from "../../gen/chat/v1/chat_pb.ts";
import { pythonPackages } from "../python-packages.ts";
import { Checks, type Suite } from "../suite.ts";
import { debianPackages, goTool } from "../tools.ts";
import { BrowserMember } from "./browser-member.ts";
import { type Member, ProcessMember } from "./process-member.ts";

const room = "one-room";
/** Lines that are said while all watch, then while none does, then while all watch again. */
const parts = [100, 50, 100] as const;
const limitMs = 60_000;

/**
 * One room with members of other projects: Chromium's `EventSource`, Debian's python3-websockets, curl, grpcurl and
 * Python's grpc. All see the same positions, also behind a time when they were away.
 */
export const oneRoom: Suite = {
  name: "one-room",
  async run() {
    const checks = new Checks();
    const hub = new Hub();
    const chat = new ChatService(hub);
    const grpc = new GrpcServer({ port: 0, hub }).addService(chat);
    const http = new HttpServer({ port: 0, upstream: grpc, headerFlushMs: 0 }).addService(chat);
    for (const server of [grpc, http]) await server.start();
    const transport = dial(grpc);
    const { say } = createClient(descriptor, transport);
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => {
      for (const server of [http, grpc]) await server.gracefulStop({ graceMs: 0 });
    });
    const members = await membersOf(`127.0.0.1:${grpc.address?.port}`, `127.0.0.1:${http.address?.port}`);
    for (const member of members) stack.use(member);
    const positions: string[] = [];
    const talk = async (count: number): Promise<void> => {
      for (let line = 0; line < count; line++) {
        const { position } = await say({ room, user: "speaker", text: `line ${positions.length}` });
        positions.push(position);
      }
    };
    const inRoom = async (count: number): Promise<void> => {
      await until(
        `${count} members`,
        async () => (await hub.count({ rooms: [`chat/${room}`] })).total === count,
      );
    };
    const heard = async (): Promise<void> => {
      const last = positions.at(-1) ?? "";
      for (const member of members) {
        await until(`${member.name} at ${last}`, async () => member.positions.at(-1) === last);
      }
    };
    for (const [part, count] of parts.entries()) {
      const areThere = part !== 1;
      if (areThere) {
        for (const member of members) await member.join();
        await inRoom(members.length);
      }
      await talk(count);
      if (!areThere) continue;
      await heard().catch(() => {}); // Who has not heard all fails below.
      for (const member of members) await member.leave();
      await inRoom(0);
    }
    for (const member of members) {
      await checks.check(`${member.name} has seen every position once, in order`, async () => {
        assert.deepEqual(member.positions, positions);
      });
    }
    return checks.result;
  },
};

async function membersOf(grpc: string, http: string): Promise<readonly Member[]> {
  const grpcurl = await goTool("grpcurl");
  const debian = await debianPackages("bookworm", ["python3-websockets"]);
  const websockets = { ...process.env, PYTHONPATH: join(debian, "usr/lib/python3/dist-packages") };
  const python = await pythonPackages("grpcio==1.85.3", "protobuf==6.33.6");
  const script = (name: string): string => join(import.meta.dirname, name);
  const contract = join(import.meta.dirname, "../../gen/contract.binpb");
  const resuming = (after: string | undefined): string[] =>
    after === undefined ? [] : ["-H", `last-event-id: ${after}`];
  const watch = `http://${http}/v1/rooms/${room}:watch`;
  let id = "";
  return [
    new ProcessMember("curl -N", {
      program: "curl",
      args: (after) => ["-sN", watch, "-H", "accept: text/event-stream", ...resuming(after)],
      positionOf(line) {
        id = /^id: ?(.*)$/.exec(line)?.[1] ?? id;
        return /^data: .*"line":/.test(line) ? id : undefined;
      },
    }),
    new ProcessMember("grpcurl", {
      program: grpcurl,
      args: (after) => {
        const request = JSON.stringify({ room });
        return ["-plaintext", ...resuming(after), "-d", request, grpc, "chat.v1.ChatService/WatchRoom"];
      },
      positionOf: (line) => /^ {2}"id": "(\w{8}\.\d+)",?$/.exec(line)?.[1],
    }),
    new ProcessMember("python3-websockets", {
      program: "python3",
      args: (after) => [script("websockets_member.py"), `ws://${http}/ws`, room, ...asWord(after)],
      env: websockets,
      positionOf: (line) => line,
    }),
    new ProcessMember("Python's grpc", {
      program: "python3",
      args: (after) => [script("grpc_member.py"), grpc, contract, room, ...asWord(after)],
      env: python,
      positionOf: (line) => line,
    }),
    await BrowserMember.start(`http://${http}`, room),
  ];
}

function asWord(after: string | undefined): string[] {
  return after === undefined ? [] : [after];
}

/** Resolves when something is the case. @throws Error that names it, when it takes too long */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await delay(20);
  }
}
