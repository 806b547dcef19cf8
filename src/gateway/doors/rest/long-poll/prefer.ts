const waitPreference = /^wait\s*=\s*"?(\d{1,6})"?\s*(?:;|$)/i;

/** The seconds of `wait` in a `Prefer` header (RFC 7240, section 4.3), of the first one; undefined for none. */
export function preferredWait(prefer: string | string[] | undefined): number | undefined {
  if (prefer === undefined) return undefined;
  for (const preference of String(prefer).split(",")) {
    const match = waitPreference.exec(preference.trim());
    if (match !== null) return Number(match[1]);
  }
  return undefined;
}
