import type { KeyField } from "./key-tree.ts";

/** The reference text of each key: the comment of its field, by message and field, such as `HttpConfig.port`. */
export type KeyTexts = Readonly<Record<string, string>>;

/** The reference text of a key. */
export function textOf(texts: KeyTexts, { owner, name }: KeyField): string | undefined {
  return texts[`${owner}.${name}`];
}
