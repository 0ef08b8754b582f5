"""Panels and boards as data, and what Grafana's SDK makes of them. The boards themselves: `boards.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.promql import selector
from exporters.metrics import catalogue as c
from exporters.metrics.vocabulary import SCENARIO

DATASOURCE: Final = common_model.DataSourceRef(type_val="prometheus", uid="$datasource")
HERE: Final = ('job=~"$job"', 'instance=~"$instance"')
TAG: Final = "avaload"


class Kind(StrEnum):
    """How a panel shows its queries."""

    LINES = "lines"
    STACK = "stack"
    NUMBER = "number"
    NAME = "name"
    BARS = "bars"
    HEAT = "heat"


@dataclass(frozen=True, slots=True)
class Query:
    """`instant`: one value for the whole time range in view, which ends where the range ends."""

    expr: str
    legend: str = "__auto"
    instant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`unit` is Grafana's id of it. `red_from`, `red_below`: the colour changes there. `width`: of 24. `says`: words
    for values."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: Kind = Kind.LINES
    width: int = 8
    red_from: float | None = None
    red_below: float | None = None
    says: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """`rows`: title → panels. `run_variables`: ask for a run and its baseline instead of a scenario."""

    name: str
    title: str
    description: str
    rows: dict[str, Sequence[Panel]]
    since: str = "now-1h"
    refresh: str = "5s"
    run_variables: bool = False


def here(metric: c.Metric, part: str = "", **labels: str) -> str:
    """The metric's series that the board's variables leave."""
    if any(label is SCENARIO for label in metric.labels) and metric is not c.RUN_INFO:
        labels = {"scenario": "~$scenario", **labels}
    return selector(metric, part, fixed=HERE, **labels)


def rate(metric: c.Metric, part: str = "", by: str = "", **labels: str) -> str:
    """Per second, around each point."""
    return _sum(f"rate({here(metric, part, **labels)}[$__rate_interval])", by)


def total(metric: c.Metric, part: str = "", by: str = "", **labels: str) -> str:
    """What a run has counted: its counters start at 0, so the largest value is exact, where `increase` extrapolates."""
    return _sum(f"max_over_time({here(metric, part, **labels)}[$__range])", by)


def now(metric: c.Metric, by: str = "", **labels: str) -> str:
    """A gauge, added up."""
    return _sum(here(metric, **labels), by)


def quantile(share: float, metric: c.Metric, by: str = "", **labels: str) -> str:
    """Of what was observed around each point."""
    buckets = rate(metric, "_bucket", by=f"le, {by}" if by else "le", **labels)
    return f"histogram_quantile({share}, {buckets})"


def quantiles(metric: c.Metric, **labels: str) -> list[Query]:
    """Median, 95th and 99th percentile."""
    return [Query(quantile(share, metric, **labels), f"p{share * 100:.0f}") for share in (0.5, 0.95, 0.99)]


def heat(metric: c.Metric, **labels: str) -> list[Query]:
    """Observations per bucket: shows the two humps that a quantile hides."""
    return [Query(_sum(f"increase({here(metric, '_bucket', **labels)}[$__rate_interval])", "le"), "{{le}}")]


def build(board: Board) -> model.Dashboard:
    """The board as Grafana's model of it; panels are numbered in their order."""
    built = (
        dashboard.Dashboard(f"avaload / {board.title}")
        .uid(f"avaload-{board.name}")
        .description(board.description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time(board.since, "now")
        .refresh(board.refresh)
        .link(
            dashboard.DashboardLink("boards")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
        )
        .variables(_variables(board))
    )
    number = 0
    for title, panels in board.rows.items():
        number += 1
        built.with_row(dashboard.Row(title).id(number))
        for panel in panels:
            number += 1
            built.with_panel(_panel(panel, number))
    return built.build()


def _sum(expr: str, by: str) -> str:
    return f"sum by ({by}) ({expr})" if by else f"sum({expr})"


def _variables(board: Board) -> list[Builder[model.VariableModel]]:
    started, info = c.SESSIONS_STARTED.name, c.RUN_INFO.name
    variables: list[Builder[model.VariableModel]] = [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _many("job", f"label_values({info}, job)"),
        _many("instance", f'label_values({info}{{job=~"$job"}}, instance)'),
    ]
    if board.run_variables:
        query = f"label_values({info}{{{','.join(HERE)}}}, run_id)"
        variables += [_query("run", query), _query("baseline", query)]
    else:
        variables.append(_many("scenario", f"label_values({started}{{{','.join(HERE)}}}, scenario)"))
    return variables


def _query(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .definition(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_DESC)
    )


def _many(name: str, query: str) -> dashboard.QueryVariable:
    return _query(name, query).multi(True).include_all(True).all_value(".+")


def _panel(panel: Panel, number: int) -> timeseries.Panel | stat.Panel | bargauge.Panel | heatmap.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    built: timeseries.Panel | stat.Panel | bargauge.Panel | heatmap.Panel
    match panel.kind:
        case Kind.NUMBER:
            built = stat.Panel().reduce_options(last).graph_mode(common_model.BigValueGraphMode.NONE)
        case Kind.NAME:
            built = stat.Panel().reduce_options(last).graph_mode(common_model.BigValueGraphMode.NONE)
            built.text_mode(common_model.BigValueTextMode.NAME)
        case Kind.BARS:
            built = bargauge.Panel().reduce_options(last).orientation(common_model.VizOrientation.HORIZONTAL)
        case Kind.HEAT:
            built = heatmap.Panel().calculate(False).hide_legend()
        case Kind.LINES | Kind.STACK:
            built = timeseries.Panel().fill_opacity(10).show_points(common_model.VisibilityMode.NEVER)
            built.legend(common.VizLegendOptions().show_legend(True).placement(common_model.LegendPlacement.BOTTOM))
            if panel.kind is Kind.STACK:
                built.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL)).fill_opacity(40)
    edge = panel.red_from if panel.red_below is None else panel.red_below
    if edge is not None:
        low, high = ("green", "red") if panel.red_below is None else ("red", "green")
        steps = [model.Threshold(value=None, color=low), model.Threshold(value=edge, color=high)]
        built.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    if panel.says:
        words = {str(value): model.ValueMappingResult(text=text) for value, text in panel.says.items()}
        built.mappings([model.ValueMap(options=words)])
    built.id(number).title(panel.title).description(panel.description).unit(panel.unit).datasource(DATASOURCE)
    built.span(panel.width).height(4 if panel.kind in (Kind.NUMBER, Kind.NAME) else 8).min(0)
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        built.with_target(_target(query, letter, heat=panel.kind is Kind.HEAT))
    return built


def _target(query: Query, letter: str, *, heat: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(letter).legend_format(query.legend).datasource(DATASOURCE)
    # Exemplars are on buckets: a click leads from a slow point to its trace.
    target = target.instant() if query.instant else target.range().exemplar("_bucket{" in query.expr)
    return target.format(PromQueryFormat.HEATMAP if heat else PromQueryFormat.TIME_SERIES)
