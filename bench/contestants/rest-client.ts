/**
 * A client of an HTTP API in JSON. Its arguments are its kind, `ours` or `by-hand` (`fetch`, `JSON` and protobuf-es),
 * the URL of the server, and its work, `send` or `list`.
 */
import { create, fromJson, toJson, toJsonString, type JsonValue } from "@bufbuild/protobuf";
import {
  BenchBooksService,
  ListBooksResponseSchema,
  type ListBooksResponse,
} from "../../gen/tsms/test/v1/bench_books_pb.ts";
import {
  BenchService,
  SendRequestSchema,
  SendResponseSchema,
  type SendResponse,
} from "../../gen/tsms/test/v1/bench_pb.ts";
import { restTransport } from "../../src/entries/rest.ts";
import { createClient } from "../../src/index.ts";
import { isParcel, parcelInit } from "../works.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [kind = "", baseUrl = "", work = ""] = process.argv.slice(2);
const transport = restTransport({ baseUrl });
const parcels = createClient(BenchService, transport);
const books = createClient(BenchBooksService, transport);

async function sendByHand(): Promise<SendResponse> {
  const body = JSON.stringify(toJson(SendRequestSchema, create(SendRequestSchema, parcelInit)));
  const headers = { "content-type": "application/json" };
  return fromJson(SendResponseSchema, await ask("/bench/v1/parcels", { method: "POST", headers, body }));
}

async function listByHand(): Promise<ListBooksResponse> {
  return fromJson(ListBooksResponseSchema, await ask("/bench/v1/books?count=100", {}));
}

async function ask(path: string, init: RequestInit): Promise<JsonValue> {
  const response = await fetch(baseUrl + path, init);
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  return (await response.json()) as JsonValue; // Nothing else comes of JSON.
}

const send = kind === "ours" ? () => parcels.send(parcelInit) : sendByHand;
const list = kind === "ours" ? () => books.listBooks({ count: 100 }) : listByHand;

takePart({
  work: (ms) =>
    repeatAsync(ms, 16, async () => {
      const isRight = work === "send" ? isParcel(await send()) : (await list()).books.length === 100;
      if (!isRight) throw new Error("a wrong answer");
    }),
  sample: async () =>
    work === "send"
      ? toJsonString(SendResponseSchema, await send())
      : toJsonString(ListBooksResponseSchema, await list()),
});
