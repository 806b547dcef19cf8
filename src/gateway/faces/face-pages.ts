/** A page of a face that people look at. */
export interface FacePage {
  /** What a link to it says. */
  readonly text: string;
  readonly path: string;
}

/** A link from one page of a server to another. It is relative, for a prefix in front of all paths may be unknown here. */
export function relativeLink(from: string, to: string): string {
  const depth = from.split("/").length - 2;
  return `${depth === 0 ? "./" : "../".repeat(depth)}${to.slice(1)}`;
}
