/** A text of the client in quotes, truncated to 40 characters for an error message. */
export function quoteText(text: string): string {
  return JSON.stringify(text.length <= 40 ? text : `${text.slice(0, 40)}…`);
}
