/** `ts-ms/validate`: checks of messages by the rules of their contract, as servers make them. */

export { validationDefaults, type ValidationOptions } from "../core/validation/validation-options.ts";
