/** The one value of a request header, as `Headers` gives it: null where there is none, several joined by commas. */
export function headerValue(value: string | string[] | undefined): string | null {
  if (value === undefined) return null;
  return typeof value === "string" ? value : value.join(", ");
}
