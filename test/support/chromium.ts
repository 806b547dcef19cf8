import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

/** Where Debian puts it. */
const executablePath = "/usr/bin/chromium";

/** Why there is no browser to test with; false where there is one. For the option `skip` of a test. */
export const noChromium: string | false =
  !existsSync(executablePath) &&
  `NOT TESTED: there is no ${executablePath}; \`apt-get install --no-install-recommends chromium\` brings it`;

/** Starts Debian's Chromium, without a window and without talking to its maker. */
export function startChromium(): Promise<Browser> {
  const quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update"];
  return chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync", ...quiet],
    timeout: 60_000,
  });
}
