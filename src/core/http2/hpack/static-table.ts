/** A header field. */
export interface TableField {
  readonly name: string;
  readonly value: string;
}

/** The static table (RFC 7541 Appendix A): the field of index 1 comes first. */
export const staticTable: readonly TableField[] = [
  ":authority",
  ":method=GET",
  ":method=POST",
  ":path=/",
  ":path=/index.html",
  ":scheme=http",
  ":scheme=https",
  ":status=200",
  ":status=204",
  ":status=206",
  ":status=304",
  ":status=400",
  ":status=404",
  ":status=500",
  "accept-charset",
  "accept-encoding=gzip, deflate",
  ...["accept-language", "accept-ranges", "accept", "access-control-allow-origin", "age", "allow"],
  ...["authorization", "cache-control", "content-disposition", "content-encoding", "content-language"],
  ...["content-length", "content-location", "content-range", "content-type", "cookie", "date", "etag"],
  ...["expect", "expires", "from", "host", "if-match", "if-modified-since", "if-none-match", "if-range"],
  ...["if-unmodified-since", "last-modified", "link", "location", "max-forwards", "proxy-authenticate"],
  ...["proxy-authorization", "range", "referer", "refresh", "retry-after", "server", "set-cookie"],
  ...["strict-transport-security", "transfer-encoding", "user-agent", "vary", "via", "www-authenticate"],
].map((text) => {
  const [name = "", value = ""] = text.split("=");
  return Object.freeze({ name, value });
});

/** The index of the first dynamic field. */
export const firstDynamicIndex: number = staticTable.length + 1;

/** Bytes that a field counts for in tables and lists beside its name and value (RFC 7541 4.1). */
export const fieldOverhead = 32;

/** The size of the dynamic table before SETTINGS change it, in bytes. */
export const defaultTableBytes = 4096;
