import assert from "node:assert/strict";
import { test } from "node:test";
import { openPages } from "../../../src/gateway/pages/pages.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { cookieOf, SessionSite } from "../session/session-site.ts";
import { curl } from "../security/whoami.ts";
import { writeSite } from "./site.ts";

test("S7 S3 files of known clients are given to a session, until it ends", async () => {
  await using files = await TemporaryFiles.create();
  const { dir } = await writeSite(files.folder);
  const pages = await openPages({ static: [{ prefix: "/private-files/", dir, access: "authenticated" }] });
  let nowMs = Date.now();
  await using site = await SessionSite.start({
    http: { pages, securityHeaders: "basic" },
    parts: { wallMs: () => nowMs },
  });
  const url = `${site.origin}/private-files/`;
  assert.equal((await curl(url)).status, 401);
  const cookie = cookieOf(await site.get("login~ada"));
  const given = await curl("-H", `Cookie: ${cookie}`, url);
  assert.deepEqual(
    [given.status, given.headers.get("set-cookie"), given.headers.get("cache-control")],
    [200, undefined, "private, max-age=0"],
  );
  nowMs += 20 * 60_000;
  const renewed = cookieOf(await curl("-H", `Cookie: ${cookie}`, url));
  assert.match(renewed, /^__Host-session=./); // Looking at files keeps a session alive.
  nowMs += 20 * 60_000;
  assert.equal((await curl("-H", `Cookie: ${renewed}`, url)).status, 200);
  await site.get("logout", renewed);
  const ended = await curl("-H", `Cookie: ${renewed}`, url);
  assert.equal(ended.status, 401);
  assert.match(ended.headers.get("set-cookie") ?? "", /^__Host-session=; Max-Age=0;/);
});
