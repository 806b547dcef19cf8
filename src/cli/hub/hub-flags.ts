import {
  checkedListFlag,
  durationFlag,
  fileFlag,
  listFlag,
  optionalFlag,
  switchFlag,
} from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import { targetFlags } from "../contracts/target-flags.ts";

/** Flags of `ts-ms hub`. */
export const hubFlags = {
  connection: listFlag("ID", "Select connections by their ids"),
  user: listFlag("USER", "Select connections of users"),
  room: listFlag("TOPIC/ROOM", "Select connections in rooms"),
  topic: listFlag("TOPIC", "Select connections that read topics; of rooms those of one topic"),
  door: listFlag("DOOR", "Select connections by protocol, such as websocket and sse"),
  node: listFlag("ID", "Select connections of processes"),
  address: listFlag("ADDRESS", "Select connections by address or range, such as 10.0.0.0/8"),
  tag: checkedListFlag("NAME=VALUE", "Select connections that have all these tags", (text) =>
    /^[^=]+=/.test(text) ? undefined : "must be NAME=VALUE",
  ),
  everybody: switchFlag("Select every connection, which close and send do by no other way"),
  by: optionalFlag("WHAT", "Count by door, user, topic, room, node or tag:NAME"),
  reason: optionalFlag("TEXT", "What clients are told that are closed"),
  noReconnect: switchFlag("Closed clients are told not to come back"),
  refuse: durationFlag(0, "Refuse the selected users and addresses for this time"),
  data: { ...optionalFlag("JSON", "The message to send or publish, in JSON"), short: "d" },
  eventHeader: checkedListFlag("NAME:VALUE", "A header of the message", (text) =>
    /^[a-z0-9-]+\s*:/.test(text) ? undefined : "must be NAME:VALUE",
  ),
  tokenFile: fileFlag("File of the bearer token to call with, as --hub-admin-token of the server"),
  header: {
    ...checkedListFlag("NAME:VALUE", "A header of the call", (text) =>
      /^[\w!#$%&'*+.^`|~-]+\s*:/.test(text) ? undefined : "must be NAME:VALUE",
    ),
    short: "H",
  },
  json: switchFlag("Print a line of JSON for each thing, instead of a table"),
  ...targetFlags,
} as const;

/** The values of `hubFlags`. */
export type HubFlagValues = FlagValues<typeof hubFlags>;
