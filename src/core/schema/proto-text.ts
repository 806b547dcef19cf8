/** A source rewritten for the parser. */
export interface PreparedSource {
  /** Has as many lines as the original, so that line numbers in errors are right. */
  readonly text: string;
  /** Whether it uses edition 2024. */
  readonly isEdition2024: boolean;
}

/** Prefix of the placeholder strings for message values of options; no source contains this character. */
const mark = "\u0000";

const tokens = /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'|[\w.]+|[^\s\w]/g;

/**
 * Removes from a source what the parser does not support: option values in braces, which are in text format and which
 * the parser misreads, and the keywords that edition 2024 adds.
 *
 * @param literals Receives the removed option values. Each is replaced in the text by a placeholder string, which
 *   `literalOf` resolves.
 */
export function prepareSource(source: string, literals: string[]): PreparedSource {
  const found = [...source.matchAll(tokens)].filter(([text]) => !/^\/[/*]/.test(text));
  const isEdition2024 =
    found
      .slice(0, 3)
      .map(([text]) => text)
      .join("")
      .match(/^edition=["']2024["']$/) !== null;
  let text = "";
  let kept = 0;
  const replace = (start: number, end: number, by: string): void => {
    const lines = source.slice(start, end).replace(/[^\n]+/g, "");
    text += source.slice(kept, start) + by + lines;
    kept = end;
  };
  for (let index = 0; index < found.length; index++) {
    const token = found[index];
    const next = found[index + 1];
    if (token === undefined || next === undefined) break;
    if (token[0] === "=" && next[0] === "{") {
      const last = endOfBraces(found, index + 1);
      const end = (found[last]?.index ?? source.length) + 1;
      literals.push(source.slice(next.index, end));
      replace(next.index, end, `"${mark}${literals.length - 1}"`);
      index = last;
    } else if (isEdition2024) {
      const before = found[index - 1]?.[0] ?? ";";
      if (index === 2) replace(token.index, token.index + token[0].length, '"2023"');
      else if (
        /^(?:export|local)$/.test(token[0]) &&
        /^(?:message|enum)$/.test(next[0]) &&
        /^[;{}]$/.test(before)
      )
        replace(token.index, next.index, "");
      else if (token[0] === "option" && before === "import") replace(token.index, next.index, "");
    }
  }
  return { text: text + source.slice(kept), isEdition2024 };
}

/** The value in braces that a placeholder string of a prepared source refers to; undefined for other values. */
export function literalOf(value: unknown, literals: readonly string[]): string | undefined {
  return typeof value === "string" && value.startsWith(mark) ? literals[Number(value.slice(1))] : undefined;
}

function endOfBraces(found: readonly RegExpExecArray[], start: number): number {
  let depth = 0;
  for (let index = start; index < found.length; index++) {
    const text = found[index]?.[0];
    if (text === "{") depth++;
    if (text === "}" && --depth === 0) return index;
  }
  return found.length - 1;
}
