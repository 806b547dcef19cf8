/** A program by its configuration: everything but the services is in app.yaml, the environment or flags. */
import { App, dial } from "../src/index.ts";
import { ChildService } from "../src/services/child/child-service.ts";
import { GomsService } from "../src/services/goms/goms-service.ts";
import { seedLibrary } from "../src/services/library/library-seed.ts";
import { LibraryService } from "../src/services/library/library-service.ts";

const app = await App.load();
app.addService(new GomsService("goms"));
app.addService(new ChildService("child", dial(app)));
app.addService(new LibraryService(seedLibrary()));
await app.run();
