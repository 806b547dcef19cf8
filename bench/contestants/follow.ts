import type { FollowParcelsResponse } from "../../gen/tsms/test/v1/bench_pb.ts";
import { followed } from "../works.ts";
import type { Part } from "./take-part.ts";

/** Calls the rpc for a stream of messages and reports each; resolves at its successful end. */
type Follow = (
  request: { readonly count: number },
  onMessage: (message: FollowParcelsResponse) => void,
) => Promise<void>;

/**
 * The part of a client that reads streams of `count` messages one after the other. It counts messages and checks every
 * field of each; a sample is the number of messages of one stream.
 */
export function followAll(count: number, follow: Follow): Part {
  const readAll = async (): Promise<number> => {
    let last = 0;
    await follow({ count }, ({ name, weight, address }) => {
      if (weight !== ++last || name !== followed.name || address !== followed.address)
        throw new Error("a wrong message");
    });
    if (last !== count) throw new Error(`a stream of ${last} messages`);
    return last;
  };
  return {
    work: async (ms) => {
      const end = performance.now() + ms;
      let messages = 0;
      do messages += await readAll();
      while (performance.now() < end);
      return messages;
    },
    sample: async () => JSON.stringify(await readAll()),
  };
}
