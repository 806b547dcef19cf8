import { type Frame, SharedFrame } from "./frame-codec.ts";

/** What the messages that many sockets are sent look like in calls, by how their frames begin. */
const known = new WeakMap<Frame, Map<string, Frame>>();

/** Ids of calls are the client's; those of most clients are the same. */
const mostKnown = 16;

/**
 * The frame of a multiplexed socket with a message of one of its calls.
 *
 * @param members further members of it, with a comma at the end
 */
export function messageFrame(frame: Frame, idText: string, members: string): Frame {
  const begin = `{"id":${idText},${members}"message":`;
  if (frame.shared === undefined) return { data: `${begin}${String(frame.data)}}`, isBinary: false };
  let frames = known.get(frame);
  if (frames === undefined) known.set(frame, (frames = new Map<string, Frame>()));
  const before = frames.get(begin);
  if (before !== undefined) return before;
  const data = `${begin}${String(frame.data)}}`;
  if (frames.size >= mostKnown) return { data, isBinary: false };
  const made = new SharedFrame(data, false, undefined);
  frames.set(begin, made);
  return made;
}
