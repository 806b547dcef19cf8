import { escapeText } from "./escape-text.ts";

const levels: Readonly<Record<number, string>> = {
  10: "TRACE",
  20: "DEBUG",
  30: "INFO",
  40: "WARN",
  50: "ERROR",
  60: "FATAL",
};

/** Takes lines of JSON and writes each as a line of text: time, level, what happened, and the fields. */
export function textLines(to: { write(line: string): void; lastLevel?: number }): {
  write(line: string): void;
} {
  return {
    write(line) {
      const { time, level, msg = "", ...fields } = JSON.parse(line) as Record<string, unknown>; // A line of pino's.
      const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${shown(value)}`);
      if (typeof level === "number") to.lastLevel = level;
      to.write(
        `${String(time)} ${levels[Number(level)] ?? String(level)} ${escapeText(String(msg))}${rest.join("")}\n`,
      );
    },
  };
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const escaped = escapeText(text);
  return /^[^\s"=]+$/.test(escaped) ? escaped : `"${escaped}"`;
}
