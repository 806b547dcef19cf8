import { SetupError } from "../../core/errors/setup-error.ts";

/** The port of HTTP/3 is in use, by another program or by the worker that came before. */
export class DoorInUse extends SetupError {}
