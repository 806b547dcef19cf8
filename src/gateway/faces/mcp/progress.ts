import type { RpcMessage } from "./json-rpc.ts";

/**
 * Writes the notifications that say how many messages of a stream have come; undefined where the client does not ask for
 * them.
 */
export function progressText({ meta }: RpcMessage): ((done: number) => string) | undefined {
  const token = meta.get("progressToken")?.text;
  if (token === undefined || !/^(?:"|-?\d)/.test(token)) return undefined;
  return (done) =>
    `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":${done}}}`;
}
