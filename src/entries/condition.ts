/** `ts-ms/condition`: conditions in CEL over requests. Needs the package `@bufbuild/cel`. */

export {
  compileCondition,
  type Condition,
  type ConditionInput,
  type ConditionObject,
} from "../core/condition/condition.ts";
