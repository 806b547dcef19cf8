/** What stands in place of a secret. */
export const mask = "***";

const secretQuery = /([?&;][^=&;#]*(?:password|secret|token|api[-_]?key|credential)[^=&;#]*=)[^&;#]*/gi;

/** A URL without its password, and without values of its query whose names are those of secrets. */
export function maskUrl(text: string): string {
  return maskPassword(text).replaceAll(secretQuery, `$1${mask}`);
}

/** All up to the last @ is taken for name and password, since a password may have any character in spite of the rules. */
function maskPassword(text: string): string {
  const [, scheme = "", rest = text] = /^([a-z][a-z0-9+.-]*:\/\/)?(.*)$/is.exec(text) ?? [];
  const end = rest.lastIndexOf("@");
  if (end === -1) return text;
  const colon = rest.indexOf(":");
  if (colon === -1 || colon > end) return text;
  return `${scheme}${rest.slice(0, colon + 1)}${mask}${rest.slice(end)}`;
}
