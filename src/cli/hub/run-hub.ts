import { readFileSync } from "node:fs";
import {
  type DescMessage,
  fromJsonString,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { durationFromMs, StructSchema } from "@bufbuild/protobuf/wkt";
import { type Client, createClient } from "@connectrpc/connect";
import {
  ConnectionSchema,
  CountConnectionsResponseSchema,
  GetStatisticsResponseSchema,
  HubAdminService,
  MemberSchema,
  OutcomeSchema,
  ReceiptSchema,
  RoomSchema,
  type SelectorSchema,
  type TopicMessageSchema,
  WatchEventsResponseSchema,
} from "../../../gen/ts_ms/hub/v1/admin_pb.ts";
import { FlagError, SetupError } from "../../core/errors/setup-error.ts";
import { openTransport, readTarget } from "../call/call-target.ts";
import { failureOf, printFailure } from "../call/failure.ts";
import { readHeaders } from "../call/read-headers.ts";
import { exitCodes } from "../command.ts";
import { speaksTls } from "../contracts/target-flags.ts";
import type { HubFlagValues } from "./hub-flags.ts";
import { Lines } from "./lines.ts";

/** With what an action is done. */
interface Plan {
  readonly hub: Client<typeof HubAdminService>;
  readonly headers: Headers;
  readonly flags: HubFlagValues;
  readonly lines: Lines;
  /** A room or a topic; undefined where none is given. */
  readonly what: string | undefined;
}

/** Pages of lists. */
const pageSize = 1_000;

const actions: Readonly<Record<string, (plan: Plan) => Promise<void>>> = {
  async list({ hub, headers, flags, lines }) {
    const columns = ["id", "door", "user", "address", "client", "rooms", "sent", "connectedAt"];
    await eachPage(async (pageToken) => {
      const page = await hub.listConnections({ ...selectorOf(flags), pageSize, pageToken }, { headers });
      lines.table(
        columns,
        page.connections.map((connection) => jsonOf(ConnectionSchema, connection)),
      );
      lines.unreachable(page.unreachable);
      return page.nextPageToken;
    });
  },
  async count({ hub, headers, flags, lines }) {
    const counts = await hub.countConnections({ ...selectorOf(flags), by: flags.by ?? "" }, { headers });
    lines.value(jsonOf(CountConnectionsResponseSchema, counts));
    lines.unreachable(counts.unreachable);
  },
  async rooms({ hub, headers, flags, lines }) {
    const [topic = ""] = flags.topic;
    await eachPage(async (pageToken) => {
      const page = await hub.listRooms({ topic, pageSize, pageToken }, { headers });
      lines.table(
        ["room", "members"],
        page.rooms.map((room) => jsonOf(RoomSchema, room)),
      );
      lines.unreachable(page.unreachable);
      return page.nextPageToken;
    });
  },
  async presence({ hub, headers, lines, what }) {
    const { members } = await hub.listMembers({ room: needed(what, "the room") }, { headers });
    lines.table(
      ["user", "connection"],
      members.map((member) => jsonOf(MemberSchema, member)),
    );
  },
  async close({ hub, headers, flags, lines }) {
    const { reason = "", noReconnect, refuse } = flags;
    const request = { ...selectorOf(flags), reason, reconnect: !noReconnect };
    const refused = refuse === 0 ? {} : { refuse: durationFromMs(refuse) };
    const { outcome } = await hub.closeConnections({ ...request, ...refused }, { headers });
    if (outcome !== undefined) lines.value(jsonOf(OutcomeSchema, outcome));
  },
  async send({ hub, headers, flags, lines, what }) {
    const topic = needed(what, "the topic");
    const request = { topic, ...selectorOf(flags), ...messageOf(flags) };
    const { receipt } = await hub.send(request, { headers });
    if (receipt !== undefined) lines.value(jsonOf(ReceiptSchema, receipt));
  },
  async publish({ hub, headers, flags, lines, what }) {
    const path = needed(what, "the room");
    const end = path.indexOf("/");
    const [topic, room] = end === -1 ? [path, ""] : [path.slice(0, end), path.slice(end + 1)];
    const { receipt } = await hub.publish({ topic, room, ...messageOf(flags) }, { headers });
    if (receipt !== undefined) lines.value(jsonOf(ReceiptSchema, receipt));
  },
  async watch({ hub, headers, lines }) {
    const leaving = new AbortController();
    process.once("SIGINT", () => leaving.abort());
    try {
      for await (const event of hub.watchEvents({}, { headers, signal: leaving.signal })) {
        lines.event(jsonOf(WatchEventsResponseSchema, event));
      }
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
    }
  },
  async stats({ hub, headers, lines }) {
    lines.value(jsonOf(GetStatisticsResponseSchema, await hub.getStatistics({}, { headers })));
  },
};

/**
 * `ts-ms hub`: one action by the admin service of a hub.
 *
 * @param what a room or a topic; undefined where none is given
 * @returns the exit code: 64 and the code of gRPC for a call that fails
 * @throws FlagError, SetupError as commands do
 */
export async function runHub(
  flags: HubFlagValues,
  action: string,
  target: string,
  what: string | undefined,
): Promise<number> {
  const run = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (run === undefined) {
    throw new FlagError(`there is no action ${JSON.stringify(action)}: ${Object.keys(actions).join(", ")}`);
  }
  const to = readTarget(target, { rest: false, connect: false });
  const headers = headersOf(flags);
  const open = await openTransport(to, flags);
  try {
    const hub = createClient(HubAdminService, open.transport);
    await run({ hub, headers, flags, lines: new Lines(flags.json), what });
    return exitCodes.done;
  } catch (error) {
    const failure = failureOf(error, false);
    if (failure === undefined) throw error;
    return printFailure(failure, to, to.isHttps || speaksTls(flags));
  } finally {
    open.close();
  }
}

/** The headers of all calls. @throws SetupError for a token that cannot be read */
function headersOf({ header, tokenFile }: HubFlagValues): Headers {
  const headers = readHeaders(header);
  if (tokenFile === undefined) return headers;
  try {
    headers.set("authorization", `Bearer ${readFileSync(tokenFile, "utf8").trim()}`);
  } catch (cause) {
    throw new SetupError(`--token-file: ${(cause as Error).message}`, { cause }); // Of node:fs, or of Headers.
  }
  return headers;
}

/** The member `selector` of requests; none where nothing is selected. */
function selectorOf(flags: HubFlagValues): { readonly selector?: MessageInitShape<typeof SelectorSchema> } {
  const { connection, user, room, topic, door, node, address, tag, everybody } = flags;
  const lists = [connection, user, room, topic, door, node, address, tag];
  if (!everybody && lists.every(({ length }) => length === 0)) return {};
  const selector = {
    connections: [...connection],
    users: [...user],
    rooms: [...room],
    topics: [...topic],
    doors: [...door],
    nodes: [...node],
    addresses: [...address],
    tags: pairsOf(tag, "="),
    everybody,
  };
  return { selector };
}

/** @throws FlagError without `--data`, or for one that is no JSON object */
function messageOf({ data, eventHeader }: HubFlagValues): {
  readonly message: MessageInitShape<typeof TopicMessageSchema>;
  readonly headers: Record<string, string>;
} {
  if (data === undefined) throw new FlagError("--data is the message to send");
  try {
    const value = toJson(StructSchema, fromJsonString(StructSchema, data)) as Record<string, JsonValue>; // As a Struct is.
    return { message: { form: { case: "json", value } }, headers: pairsOf(eventHeader, ":") };
  } catch (cause) {
    throw new FlagError(`--data: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function pairsOf(texts: readonly string[], separator: string): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const end = text.indexOf(separator);
      return [text.slice(0, end).trim(), text.slice(end + 1).trim()];
    }),
  );
}

async function eachPage(read: (token: string) => Promise<string>): Promise<void> {
  for (let token = await read(""); token !== "";) token = await read(token);
}

/** @throws FlagError where it is missing */
function needed(what: string | undefined, name: string): string {
  if (what === undefined) throw new FlagError(`${name} is missing behind the target`);
  return what;
}

function jsonOf<D extends DescMessage>(schema: D, message: MessageShape<D>): Record<string, JsonValue> {
  return toJson(schema, message) as Record<string, JsonValue>; // As messages are.
}
