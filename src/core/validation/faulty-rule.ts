import type { DescMessage, Message } from "@bufbuild/protobuf";
import { CompilationError, type Validator } from "@bufbuild/protovalidate";

/**
 * Finds the rule of a type that cannot be compiled, as a sentence; undefined if all of them can. The validator says what
 * is wrong but not where, so each field is checked alone.
 *
 * @param samples messages in which every field is set once at least
 */
export function faultyRule(
  type: DescMessage,
  samples: readonly Message[],
  makeValidator: () => Validator,
): string | undefined {
  const problemOf = (part: DescMessage): string | undefined => {
    const validator = makeValidator();
    for (const sample of samples) {
      const { error } = validator.validate(part, sample);
      if (error instanceof CompilationError) return error.message;
    }
    return undefined;
  };
  const proto = { ...type.proto, options: undefined };
  for (const field of type.fields) {
    const problem = problemOf({ ...type, proto, fields: [field], oneofs: [] });
    if (problem !== undefined) {
      return `a rule of the field ${type.typeName}.${field.name} cannot be compiled: ${problem}`;
    }
  }
  const problem = problemOf(type);
  return problem && `a rule of ${type.typeName} cannot be compiled: ${problem}`;
}
