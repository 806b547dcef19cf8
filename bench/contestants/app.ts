/** The combined gateway as in `gateway.ts`, made by an `App` of a configuration without features. */
import { App } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { takePart } from "./take-part.ts";

const app = await App.load({
  argv: [],
  env: {},
  overrides: {
    http: { port: 0 },
    grpc: { port: 0 },
    overload: { enabled: false },
    docs: { enabled: false },
    openapi: { enabled: false },
    telemetry: { metrics: { port: "off" } },
  },
});
app.addService(new Bench());
await app.start();
const [address = ""] = app.servers.find(({ name }) => name === "http")?.addresses ?? [];

takePart({ port: Number(address.split(":").at(-1)) });
