/**
 * Messages between services. HTTP answers 202 as soon as the broker has a command; the stock service handles it and
 * publishes an event, and the mail service reads that. A call goes the same way, and waits for its reply.
 *
 * `npm run messaging` has a broker in its own process; with `-- --broker amqp://localhost` it is RabbitMQ, and what was
 * not handled at the stop is handled by the next process.
 */
import {
  commonFlags,
  createTelemetry,
  messagingFlags,
  messagingOptions,
  parseFlags,
  portFlag,
} from "../src/entries/flags.ts";
import { createPublisher, MessageServer, openBroker, watchPublishing } from "../src/entries/messaging.ts";
import { addServerGracefulStop, catchStopSignals, dial, GrpcServer, HttpServer } from "../src/index.ts";
import { MailService } from "../src/services/warehouse/mail-service.ts";
import { StockService } from "../src/services/warehouse/stock-service.ts";
import { print, printStop, urlOf } from "./parts/lines.ts";

const flags = parseFlags("messaging", {
  ...messagingFlags,
  httpPort: portFlag(8080, "Port to serve HTTP on; 0 picks a free one"),
  ...commonFlags,
});
const { logger, metrics, observers, httpObservers, onFault, startExporter } = createTelemetry(flags);
const stopped = catchStopSignals({ drainDelayMs: flags.drainDelay, onFault });

const broker = await openBroker(flags.broker);
const events = createPublisher(broker, { source: "/warehouse" });
const stock = new StockService({
  stock: new Map([["A1", 10]]),
  events,
  log: (line) => console.log(`[STOCK] ${line}`),
});
const mail = new MailService((line) => console.log(`[MAIL] ${line}`));

// The services: none knows who calls it.
const grpc = new GrpcServer({ listen: false, logger }).addService(stock).addService(mail);

// In front of them: what the broker has for them.
const { options, group } = messagingOptions(flags);
const messages = new MessageServer({ ...options, broker, upstream: grpc, observers, logger });
messages.addService(stock);
messages.addService(mail, group === undefined ? {} : { OnOrderPlaced: { group } });

// In front of the broker: what is sent by HTTP.
const http = new HttpServer({
  port: flags.httpPort,
  upstream: dial(broker),
  observers,
  httpObservers,
  logger,
});
http.addService(stock.descriptor);

watchPublishing(metrics, broker);
messages.watch(metrics);
addServerGracefulStop(http, messages, grpc, broker);
const exporter = await startExporter();
for (const server of [grpc, messages, http]) await server.start();

print(http, messages, exporter);
console.log(`Try: curl ${urlOf(http)}/v1/stock/A1`);
const order = `'{"orderId": "7", "sku": "A1", "count": 2}'`;
console.log(
  `Try: curl -i -X POST ${urlOf(http)}/v1/stock:reserve -H 'content-type: application/json' -d ${order}`,
);
printStop(await stopped);
