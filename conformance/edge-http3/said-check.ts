/** Runs a check, and prints what has become of it as a line of JSON, for `edge-http3.ts`. */
export async function check(name: string, body: () => Promise<void>): Promise<void> {
  let problem: string | undefined;
  try {
    await body();
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  process.stdout.write(`${JSON.stringify({ name, problem })}\n`);
}
