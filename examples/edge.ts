/** A gateway that is its configuration alone: its services are those of upstreams, by their names or by a catalog. */
import { App } from "../src/index.ts";

const app = await App.load();
await app.run();
