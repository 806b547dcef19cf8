import assert from "node:assert/strict";
import { test } from "node:test";
import type { DescService, JsonObject, Message, Registry } from "@bufbuild/protobuf";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { service } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { logMessage } from "../../../src/core/telemetry/log-message.ts";
import { callLog, createLogger } from "../../../src/core/telemetry/logger.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { builtContract } from "../../support/built-contract.ts";

const contract = builtContract({
  "desk/v1/desk.proto": `syntax = "proto3";
package desk.v1;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
message Card { string number = 1 [debug_redact = true]; string brand = 2; string pin_token = 3; }
message Visit {
  string who = 1;
  string note = 2 [debug_redact = true];
  Card card = 3;
  repeated Card cards = 4;
  map<string, Card> by_name = 5;
  map<string, string> labels = 6;
  google.protobuf.Any any = 7;
  google.protobuf.Struct more = 8;
  int64 large = 9;
  Visit before = 10;
}
service DeskService { rpc Enter(Visit) returns (Visit); }
`,
});

/** What the log has of a visit. */
async function logged(
  visit: JsonObject,
  log: (context: HandlerContext, message: Message) => void,
): Promise<JsonObject[]> {
  const lines: string[] = [];
  const logger = createLogger({ level: "info", destination: { write: (text) => void lines.push(text) } });
  const [descriptor] = contract.services;
  assert.ok(descriptor);
  const desk = service<DescService>(descriptor, {
    enter(request: Message, context: HandlerContext) {
      log(context, request);
      return request;
    },
  } as object);
  const grpc = new GrpcServer({ port: 0, logger: false }).addService(desk);
  const http = new HttpServer({
    ...{ port: 0, upstream: grpc, logger, observers: [callLog(logger)], registry: contract.registry },
  }).addService(desk);
  await http.start();
  try {
    const answer = await fetch(`http://127.0.0.1:${http.address?.port}/desk.v1.DeskService/Enter`, {
      ...{ method: "POST", body: JSON.stringify(visit), headers: { "content-type": "application/json" } },
    });
    assert.equal(answer.status, 200, await answer.text());
  } finally {
    await http.gracefulStop({ graceMs: 0 });
  }
  // As loggers write it.
  return lines
    .join("")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as JsonObject);
}

const card = { number: "4111", brand: "visa", pinToken: "t0p" };
const shownCard = { number: "***", brand: "visa", pinToken: "***" };
const any = { "@type": "type.googleapis.com/desk.v1.Card", ...card };

test("L4 logMessage masks debug_redact and credentials at any depth, and nothing else", async () => {
  const visit = {
    ...{
      who: "ada",
      note: "s3cret",
      card,
      cards: [card, card],
      byName: { a: card },
      large: "9007199254740993",
    },
    labels: { city: "Bern", password: "hunter2" },
    more: { token: "abc", list: [{ secret: "x", plain: 1 }] },
    before: { who: "eve", note: "s3cret" },
  };
  const lines = await logged(visit, (context, message) => logMessage(context, message, { text: "enters" }));
  const line = lines.find(({ msg }) => msg === "enters") ?? {};
  assert.equal(line["type"], "desk.v1.Visit");
  assert.equal(line["rpc"], "desk.v1.DeskService/Enter");
  assert.equal(line["level"], 30);
  assert.deepEqual(line["message"], {
    ...{ who: "ada", note: "***", card: shownCard, cards: [shownCard, shownCard], byName: { a: shownCard } },
    large: "9007199254740993",
    labels: { city: "Bern", password: "***" },
    more: { token: "***", list: [{ secret: "***", plain: 1 }] },
    before: { who: "eve", note: "***" },
  });
});

test("L4 a message inside of Any is shown with its registry alone, and masked", async () => {
  const shown = async (registry: Registry | undefined): Promise<unknown> => {
    const lines = await logged({ who: "ada", any }, (context, message) =>
      logMessage(context, message, { registry }),
    );
    return lines.find(({ type }) => type === "desk.v1.Visit")?.["message"];
  };
  assert.equal(await shown(undefined), undefined);
  const message = JSON.stringify(await shown(contract.registry));
  assert.doesNotMatch(message, /4111|t0p/);
  assert.match(message, /ada/);
});

test("L4 messages are in no line unless a handler logs them, at a level that is written", async () => {
  const lines = await logged({ who: "ada" }, (context, message) => {
    logMessage(context, message, { level: "debug" });
    logMessage(context, message, { level: "warn", text: "again" });
  });
  assert.deepEqual(
    lines.map(({ msg, message }) => [msg, message]),
    [["again", { who: "ada" }]],
  );
});
