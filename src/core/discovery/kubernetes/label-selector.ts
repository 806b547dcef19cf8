import { SetupError } from "../../errors/setup-error.ts";

const word = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?";
const key = `(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?${word}`;
const set = `\\(\\s*(?:${word})?(?:\\s*,\\s*(?:${word})?)*\\s*\\)`;
const term = `\\s*(?:!\\s*${key}|${key}(?:\\s*(?:==?|!=)\\s*(?:${word})?|\\s*[<>]\\s*\\d+|\\s+(?:not)?in\\s*${set})?)\\s*`;
const pattern = new RegExp(`^${term}(?:,${term})*$`);

/**
 * Checks a label selector of Kubernetes: `app=users`, `tier!=edge`, `app in (users, orders)`, `ts-ms`, `!legacy`, or
 * several of them with commas. Empty ones select everything.
 *
 * @throws SetupError if the text is none
 */
export function checkLabelSelector(text: string): void {
  if (text.trim() === "" || pattern.test(text)) return;
  throw new SetupError(
    `"${text}" is no label selector of Kubernetes, such as ts-ms=true or app in (users, orders)`,
  );
}
