/** A caller's text in quotes, cut to what an error may repeat. */
export function quoteText(text: string): string {
  return JSON.stringify(text.length <= 40 ? text : `${text.slice(0, 40)}…`);
}
