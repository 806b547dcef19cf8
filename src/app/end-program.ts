/** Exit code of a program whose configuration has mistakes. */
export const mistaken = 2;

/** Prints and ends the process: text to standard output for code 0, to standard error otherwise. */
export function endProgram(code: number, text: string): never {
  const stream = code === 0 ? process.stdout : process.stderr;
  if (text !== "") stream.write(text.endsWith("\n") ? text : `${text}\n`);
  process.exit(code);
}
