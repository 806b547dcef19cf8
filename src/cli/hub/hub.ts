import { defineCommand } from "../command.ts";
import { hubFlags } from "./hub-flags.ts";

/** `ts-ms hub`: shows the live connections of a server, and changes them. */
export const command = defineCommand({
  positionals: [
    { name: "ACTION", help: "list, count, rooms, presence, close, send, publish, watch or stats" },
    { name: "TARGET", help: "host:port, or the http:// or https:// URL, of a server with HubAdminService" },
    {
      name: "WHAT",
      help: "The room, topic/room, of presence and publish; the topic of send",
      isOptional: true,
    },
  ],
  flags: hubFlags,
  examples: [
    ["hub list http://localhost:4300 --token-file token --user ada", "the connections of a user"],
    ["hub count localhost:42001 --by door", "how many there are by protocol"],
    ["hub close localhost:42001 --user mallory --no-reconnect --refuse 1h", "end them, and refuse the user"],
    ['hub publish localhost:42001 chat/lobby -d \'{"line":"hello"}\'', "a message for a room"],
    ["hub watch localhost:42001", "what becomes of connections from now on"],
  ],
  async run(flags, [action = "", target = "", what]) {
    const { runHub } = await import("./run-hub.ts");
    return runHub(flags, action, target, what);
  },
});
