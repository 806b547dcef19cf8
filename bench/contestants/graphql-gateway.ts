/**
 * The gateway with the face `graphql`, configured as in `examples/gateway.ts`; with the address of a server in front of
 * that, else with the services in process.
 */
import {
  BenchCatalogService,
  type BatchGetCatalogBooksRequest,
  type GetCatalogBookRequest,
  type ListCatalogBooksRequest,
  type ListCopiesRequest,
} from "../../gen/tsms/test/v1/bench_catalog_pb.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { graphql } from "../../src/entries/graphql.ts";
import { callLog, createLogger, httpLog, Metrics } from "../../src/entries/telemetry.ts";
import { GrpcServer, HttpServer, type Service } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { bookOf, books, copies } from "./catalog.ts";
import { dialByChoice } from "./engine.ts";
import { takePart } from "./take-part.ts";

class Catalog implements Service<typeof BenchCatalogService> {
  readonly descriptor = BenchCatalogService;

  getCatalogBook({ name }: GetCatalogBookRequest) {
    return { book: bookOf(name) };
  }

  batchGetCatalogBooks({ names }: BatchGetCatalogBooksRequest) {
    return { books: names.map(bookOf) };
  }

  listCatalogBooks({ pageSize }: ListCatalogBooksRequest) {
    return { books: books.slice(0, pageSize) };
  }

  listCopies({ pageSize }: ListCopiesRequest) {
    return { copies: copies.slice(0, pageSize) };
  }
}

const [target] = process.argv.slice(2);
const logger = createLogger();
const metrics = new Metrics();
const observers = [callLog(logger), metrics];
const own = target === undefined ? new GrpcServer({ listen: false, observers }) : undefined;
const upstream = own ?? dialByChoice(target ?? "");
const http = new HttpServer({
  port: 0,
  upstream,
  observers,
  httpObservers: [httpLog(logger), metrics],
  faces: [graphql()],
});
own?.addService(new Bench()).addService(new Catalog());
http.addService(BenchService).addService(BenchCatalogService);
await http.start();

takePart({ port: http.address?.port ?? 0 });
