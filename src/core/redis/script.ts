import { createHash } from "node:crypto";

/** A script in Lua, with the hash by which Redis remembers it. */
export class RedisScript {
  readonly text: string;
  readonly sha: string;

  constructor(text: string) {
    this.text = text;
    this.sha = createHash("sha1").update(text).digest("hex"); // Redis names scripts by SHA-1.
  }
}
