import type { IncomingMessage } from "node:http";

/** The longest line of a watch: one object; etcd keeps none above 1.5 MiB unless told otherwise. */
const mostLength = 16 << 20;

/**
 * The whole lines of a body of UTF-8, those of one chunk together; nothing for a chunk without the end of a line. A last
 * line without an end is left out.
 *
 * @throws Error if a line is too long
 */
export async function* readLines(response: IncomingMessage): AsyncGenerator<string[], void, undefined> {
  /** Of the line whose end has not come. */
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of response.setEncoding("utf8")) {
    const text = chunk as string; // With an encoding they are texts.
    const end = text.lastIndexOf("\n");
    if (end < 0) {
      parts.push(text);
      length += text.length;
      if (length > mostLength) throw new Error("a line of the watch is too long");
      continue;
    }
    const whole = parts.join("") + text.slice(0, end);
    parts = [text.slice(end + 1)];
    length = text.length - end - 1;
    const lines = whole.split("\n").filter((line) => line.trim() !== "");
    if (lines.length > 0) yield lines;
  }
}
