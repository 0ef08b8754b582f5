"""Panels that are tables: they have no axis, so that values of different sizes and units stand side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import dashboard as model


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How the values of one query are shown; as in a Panel."""

    title: str
    unit: str
    red_from: float | None = None
    red_below: float | None = None
    says: Mapping[int, str] = field(default_factory=dict)


def thresholds(
    *, red_from: float | None, red_below: float | None, green_from: float | None = None
) -> list[model.Threshold]:
    """At most one of them is given; none: no colour."""
    for edge, low, high in ((red_from, "green", "red"), (red_below, "red", "green"), (green_from, "text", "green")):
        if edge is not None:
            return [model.Threshold(value=None, color=low), model.Threshold(value=edge, color=high)]
    return []


def panel(columns: Sequence[Column], rows_and_columns: tuple[str, str] | None) -> table.Panel:
    """The Nth column is the Nth query's and a row is a set of labels; or two labels of one query are rows, columns."""
    built = table.Panel()
    if rows_and_columns is not None:
        row, column = rows_and_columns
        matrix = {"rowField": row, "columnField": column, "valueField": "Value"}
        return built.with_transformation(model.DataTransformerConfig(id_val="groupingToMatrix", options=matrix))
    titles = {f"Value #{letter}": column.title for letter, column in zip("ABCDEFGH", columns, strict=False)}
    built.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    kept = {"excludeByName": {"Time": True}, "renameByName": titles}
    built.with_transformation(model.DataTransformerConfig(id_val="organize", options=kept))
    for each in columns:
        built.override_by_name(each.title, _looks(each))
    return built


def _looks(column: Column) -> list[model.DynamicConfigValue]:
    found = [model.DynamicConfigValue("unit", column.unit)]
    steps = thresholds(red_from=column.red_from, red_below=column.red_below)
    if steps:
        found.append(
            model.DynamicConfigValue("thresholds", {"mode": "absolute", "steps": [each.to_json() for each in steps]})
        )
        found.append(model.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.says:
        words = {str(value): {"text": text} for value, text in column.says.items()}
        found.append(model.DynamicConfigValue("mappings", [{"type": "value", "options": words}]))
    return found
