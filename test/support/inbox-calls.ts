import assert from "node:assert/strict";
import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { type InboxKey, InboxRun, inboxRunKey } from "../../src/messaging/inbox.ts";

/** A signal that never fires. */
export const never: AbortSignal = new AbortController().signal;

/** A handler's context as a store sees it. @param run the messages that it handles; undefined for another door */
export function contextOf(run: InboxRun | undefined, signal: AbortSignal = never): HandlerContext {
  const values = createContextValues().set(inboxRunKey, run);
  return { values, signal } as HandlerContext; // A store reads no other members.
}

/** A message of the group `mail`. */
export function inboxKey(id: string): InboxKey {
  return { group: "mail", source: "/shop", id };
}

/** The run of one message. */
export function runOf(id: string): InboxRun {
  return new InboxRun([inboxKey(id)]);
}

/** For `assert.rejects`: a call error of a code and a text. */
export function isCallError(code: Code, text = /./): (reason: unknown) => true {
  return (reason) => {
    assert.ok(reason instanceof ConnectError, String(reason));
    assert.equal(Code[reason.code], Code[code], reason.message);
    assert.match(reason.rawMessage, text);
    return true;
  };
}
