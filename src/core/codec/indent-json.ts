// A string, an empty container, or one structural character of compact JSON.
const tokens = /"(?:[^"\\]|\\.)*"|\[\]|\{\}|[[\]{},:]/g;

/** Lays compact JSON text out over lines with `width` spaces a level, as `JSON.stringify` does; values stay as they are. */
export function indentJson(text: string, width: number): string {
  let level = 0;
  const line = (): string => `\n${" ".repeat(width * level)}`;
  return text.replace(tokens, (token) => {
    switch (token) {
      case "{":
      case "[":
        level++;
        return token + line();
      case "}":
      case "]":
        level--;
        return line() + token;
      case ",":
        return token + line();
      case ":":
        return ": ";
      default:
        return token;
    }
  });
}
