/** A program by its configuration: a gateway where that names an upstream, else a service. */
import { App } from "../../src/index.ts";
import { Echo } from "../../test/support/echo-service.ts";

const app = await App.load();
if (app.config?.upstream === undefined) app.addService(new Echo());
await app.run();
