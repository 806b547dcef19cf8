/**
 * The value of a cookie in the header of a request; of several with one name, the first. Cookies are separated by
 * semicolons, and by commas where several headers were joined.
 *
 * @param start its name with the `=` behind it
 */
export function cookieOf(header: string, start: string): string | undefined {
  for (let at = header.indexOf(start); at >= 0; at = header.indexOf(start, at + 1)) {
    if (!isBegin(header, at)) continue;
    const from = at + start.length;
    const semicolon = header.indexOf(";", from);
    const value = header.slice(from, semicolon < 0 ? undefined : semicolon);
    const comma = value.indexOf(",");
    return (comma < 0 ? value : value.slice(0, comma)).trimEnd();
  }
  return undefined;
}

/** Whether a cookie begins there: it is no end of another name, and no part of a value. */
function isBegin(header: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && isSpace(header.charCodeAt(before))) before--;
  return before < 0 || header[before] === ";" || header[before] === ",";
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
