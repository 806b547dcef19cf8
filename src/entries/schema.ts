/** `ts-ms/schema`: contracts that are loaded at run time, and rules of HTTP outside of contracts. */

export { descriptorSetSource, protoSource, type Schema, type SchemaSource } from "../core/schema/schema.ts";
export { reflectionSource } from "../core/schema/reflection-source.ts";
export { keepLoaded, type SchemaLoaderOptions, type SchemaUpstream } from "../core/schema/schema-loader.ts";
export type { RuleText } from "../core/http-rule/service-config.ts";
