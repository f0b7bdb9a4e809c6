"""The JSON schema of the configuration file, for editors: made from the models, so that it cannot fall behind them."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from daemon.config.models import SECRETS, SECTIONS, TABLES, Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _TomlSchema(GenerateJsonSchema):
    """TOML has no null: what may be left out is not written as null, and has no default of null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Only what it is where it is written."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema with a default only if there is one."""
        written = super().default_schema(schema)
        if written.get("default", ...) is None:
            del written["default"]
        return written


def schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of config.toml and of each file in conf.d."""
    written = Document.model_json_schema(schema_generator=_TomlSchema)
    for section, names in SECRETS.items():
        for secret in names:  # a file must not hold it
            del written["$defs"][{**SECTIONS, **TABLES}[section].__name__]["properties"][secret]
    return {"$schema": DIALECT, **written, "title": "ptero-backupd configuration"}
