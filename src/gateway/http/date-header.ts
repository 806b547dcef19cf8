let date = "";
let dateSecond = 0;

/** The header `date` of now, made once a second. */
export function dateOfNow(): string {
  const now = Date.now();
  const second = Math.floor(now / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    date = new Date(now).toUTCString();
  }
  return date;
}
