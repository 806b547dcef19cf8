/** The value of a request header, in the form of `Headers`: null if it is missing, several values joined by commas. */
export function headerValue(value: string | string[] | undefined): string | null {
  if (value === undefined) return null;
  return typeof value === "string" ? value : value.join(", ");
}
