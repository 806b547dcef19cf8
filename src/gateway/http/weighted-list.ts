/** One member of a list with weights: of `Accept`, `Accept-Encoding`, `TE`. */
export interface Weighted {
  /** In lower case, without parameters. */
  readonly name: string;
  /** From 0 (not acceptable) to 1. */
  readonly quality: number;
}

const number = /^(?:\d+\.?\d*|\.\d+)$/;

/**
 * The members of a list with weights in their order (RFC 9110, section 12.4.2), without empty ones. A missing weight is
 * 1, a malformed one 0; the maximum is 1.
 */
export function weightedList(header: string): Weighted[] {
  const members: Weighted[] = [];
  for (const text of header.split(",")) {
    const [name = "", ...parameters] = text.split(";");
    const trimmed = name.trim().toLowerCase();
    if (trimmed !== "") members.push({ name: trimmed, quality: qualityOf(parameters) });
  }
  return members;
}

function qualityOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const [name = "", value = ""] = parameter.split("=");
    if (name.trim().toLowerCase() !== "q") continue;
    const text = value.trim();
    return number.test(text) ? Math.min(Number(text), 1) : 0;
  }
  return 1;
}
