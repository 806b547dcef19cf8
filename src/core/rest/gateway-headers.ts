/** Names that grpc-gateway reads by themselves, so that they need no prefix. */
const plain =
  /^(?:grpc-|accept|authorization$|cache-control$|content-|cookie$|date$|expect$|from$|host$|if-|max-forwards$|origin$|pragma$|referer$|user-agent$|via$|warning$)/;

const headerPrefix = "grpc-metadata-";
const trailerPrefix = "grpc-trailer-";

/** Headers of a call for grpc-gateway, which makes metadata of those with its prefix alone. */
export function toGatewayHeaders(headers: Headers): void {
  for (const [name, value] of [...headers]) {
    if (plain.test(name)) continue;
    headers.delete(name);
    headers.append(headerPrefix + name, value);
  }
}

/** Metadata and trailers of a reply of grpc-gateway, by their own names; other headers stay. */
export function fromGatewayHeaders(headers: Headers, trailer: Headers): Headers {
  const own = new Headers();
  for (const [name, value] of headers) {
    if (name.startsWith(trailerPrefix)) trailer.append(name.slice(trailerPrefix.length), value);
    else own.append(name.startsWith(headerPrefix) ? name.slice(headerPrefix.length) : name, value);
  }
  return own;
}
