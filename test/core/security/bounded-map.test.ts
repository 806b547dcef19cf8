import assert from "node:assert/strict";
import { test } from "node:test";
import { BoundedMap } from "../../../src/core/security/bounded-map.ts";

/** The keys of `keys` that a map still has. */
function left(map: BoundedMap<string>, keys: string): string {
  return keys.replaceAll(/./g, (key) => (map.get(key) === undefined ? "" : key));
}

test("the oldest entry makes room where there are too many", () => {
  const map = new BoundedMap<string>({ entries: 3, bytes: 100 });
  for (const key of "abcd") map.set(key, key, 1);
  assert.equal(left(map, "abcd"), "bcd");
  map.set("b", "again", 1); // It is the newest one now.
  map.set("e", "e", 1);
  assert.equal(left(map, "abcde"), "bde");
  assert.equal(map.get("b"), "again");
});

test("a large entry takes the place of several", () => {
  const map = new BoundedMap<string>({ entries: 10, bytes: 100 });
  for (const key of "abcd") map.set(key, key, 25);
  map.set("e", "e", 60);
  assert.equal(left(map, "abcde"), "de");
  map.set("f", "f", 100);
  assert.equal(left(map, "abcdef"), "f");
  assert.equal(map.size, 1);
});

test("what is deleted or replaced gives its memory back", () => {
  const map = new BoundedMap<string>({ entries: 10, bytes: 100 });
  map.set("a", "a", 60);
  map.set("a", "a", 40);
  map.set("b", "b", 60);
  assert.equal(left(map, "ab"), "ab");
  map.delete("b");
  map.delete("never");
  map.set("c", "c", 60);
  assert.equal(left(map, "abc"), "ac");
  map.clear();
  map.set("d", "d", 100);
  assert.equal(left(map, "acd"), "d");
});

test("an entry that is used is the newest", () => {
  const map = new BoundedMap<string>({ entries: 3, bytes: 100 });
  for (const key of "abc") map.set(key, key, 1);
  assert.equal(map.use("a"), "a");
  assert.equal(map.use("never"), undefined);
  map.set("d", "d", 1);
  assert.equal(left(map, "abcd"), "acd");
});

test("an entry that is larger than all may be is not kept", () => {
  const map = new BoundedMap<string>({ entries: 3, bytes: 100 });
  map.set("a", "a", 101);
  assert.equal(left(map, "a"), "");
});
