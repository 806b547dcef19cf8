import {
  type HeadLimits,
  isMethodPrefix,
  parseFields,
  parseRequestLine,
  target,
  token,
  value,
} from "./head-form.ts";

const lastByte = "\r";

/** Whether `text` can be the beginning of a head of the fast lane's form: more bytes are to come. */
export function beginsHead(text: string, limits: HeadLimits): boolean {
  if (text.includes("\r\n\r\n")) return false;
  const [first = "", ...lines] = text.split("\r\n", limits.fields + 3);
  const rest = lines.pop();
  if (rest === undefined) return beginsRequestLine(first, limits);
  if (lines.length > limits.fields || parseRequestLine(first, first.length, limits) === undefined)
    return false;
  return parseFields(lines, 0) !== undefined && beginsField(rest);
}

function beginsRequestLine(text: string, { targetBytes }: HeadLimits): boolean {
  const [method = "", url, version, ...more] = text.split(" ", 4);
  if (more.length > 0) return false;
  if (url === undefined) return isMethodPrefix(method, false);
  if (!isMethodPrefix(method, true) || url.length > targetBytes) return false;
  if (version === undefined) return url === "" || target.test(url);
  return target.test(url) && "HTTP/1.1\r".startsWith(version);
}

function beginsField(text: string): boolean {
  if (text === "" || text === lastByte) return true;
  const colon = text.indexOf(":");
  if (colon === -1) return token.test(text);
  const content = text.slice(colon + 1, text.endsWith(lastByte) ? -1 : undefined);
  return token.test(text.slice(0, colon)) && value.test(content);
}
