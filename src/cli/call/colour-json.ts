import { styleText } from "node:util";

/** Names of members with their colon, other strings, numbers and words. */
const tokens = /("(?:[^"\\]|\\.)*")(\s*:)|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\b(?:true|false|null)\b/g;

/** JSON with colours where `stream` is a terminal that shows them; `NO_COLOR` turns them off. */
export function colourJson(json: string, stream: NodeJS.WriteStream): string {
  if (!stream.isTTY) return json;
  const paint = (style: "cyan" | "green" | "yellow", text: string): string =>
    styleText(style, text, { stream });
  return json.replaceAll(tokens, (token: string, name: string | undefined, colon: string | undefined) => {
    if (name !== undefined) return `${paint("cyan", name)}${colon ?? ""}`;
    return paint(token.startsWith('"') ? "green" : "yellow", token);
  });
}
