import type {
  DescEnum,
  DescEnumValue,
  DescField,
  DescMessage,
  DescMethod,
  DescOneof,
} from "@bufbuild/protobuf";
import type { GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType, GraphQLUnionType } from "graphql";

/** What a type and its fields are about: comments become their descriptions. */
export interface Subject {
  readonly type: GraphQLObjectType | GraphQLInputObjectType | GraphQLUnionType | GraphQLEnumType;
  readonly desc: DescMessage | DescEnum | DescOneof | DescField | undefined;
  /** By the names of fields. Called when the fields are there. */
  readonly fields: () => ReadonlyMap<string, DescField | DescOneof | DescMethod | DescEnumValue>;
}
