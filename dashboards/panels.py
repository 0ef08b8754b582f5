"""Panels and boards as data, and what Grafana's SDK makes of them. The boards themselves: `boards/`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards import tables
from dashboards.places import Places
from dashboards.promql import selector
from dashboards.tables import Column, thresholds
from exporters.metrics import catalogue as c
from exporters.metrics.labels import SCENARIO

DATASOURCE: Final = common_model.DataSourceRef(type_val="prometheus", uid="$datasource")
HERE: Final = ('job=~"$job"', 'instance=~"$instance"')
TAG: Final = "avaload"
RESOLUTION: Final = "5s"
"""Of subqueries. A run serves its last values for two scrapes; in the server's own steps, of a minute by default, they
would be missed."""
_AS_A_BOUND: Final = [
    model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
    model.DynamicConfigValue("custom.fillOpacity", 0),
    model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "red"}),
]


class Kind(StrEnum):
    """How a panel shows its queries."""

    LINES = "lines"
    STACK = "stack"
    NUMBER = "number"
    NAME = "name"
    BARS = "bars"
    HEAT = "heat"
    TABLE = "table"


_FORMATS: Final = {Kind.HEAT: PromQueryFormat.HEATMAP, Kind.TABLE: PromQueryFormat.TABLE}


@dataclass(frozen=True, slots=True)
class Query:
    """`instant`: one value for the whole time range in view, which ends where the range ends."""

    expr: str
    legend: str = "__auto"
    instant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`unit` is Grafana's id of it. `red_from`, `red_below`, `green_from`: the colour changes there. `width`: of 24.
    `says`: words for values. `log`: the axis is logarithmic, for what lasts milliseconds beside what lasts seconds.
    `bound`: the legend of a query that is drawn as a bound. `links`: where a click on a value leads to.

    A TABLE has a column for each query, or, by `rows_and_columns`, two labels of one query as its rows and columns.
    """

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: Kind = Kind.LINES
    width: int = 8
    red_from: float | None = None
    red_below: float | None = None
    green_from: float | None = None
    says: Mapping[int, str] = field(default_factory=dict)
    log: bool = False
    bound: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    columns: Sequence[Column] = ()
    rows_and_columns: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """`rows`: title → panels. `run_variables`: ask for a run and its baseline instead of a scenario. `leads_out`: ask
    where traces and reports are, and lead there."""

    name: str
    title: str
    description: str
    rows: dict[str, Sequence[Panel]]
    since: str = "now-1h"
    refresh: str = "5s"
    run_variables: bool = False
    leads_out: bool = False


def here(metric: c.Metric, part: str = "", **labels: str) -> str:
    """The metric's series that the board's variables leave."""
    if any(label is SCENARIO for label in metric.labels) and metric is not c.RUN_INFO:
        labels = {"scenario": "~$scenario", **labels}
    return selector(metric, part, fixed=HERE, **labels)


def rate(metric: c.Metric, part: str = "", by: str = "", **labels: str) -> str:
    """Per second, around each point."""
    return _sum(f"rate({here(metric, part, **labels)}[$__rate_interval])", by)


def of_the_run(metric: c.Metric, part: str = "", **labels: str) -> str:
    """The metric as a subquery of the time range, without the runs before: only those that go on where the range ends,
    and the one that began last. Runs one after the other share job and instance, or each has an instance of its own; a
    series that only an earlier one had must not be taken for the last one's."""
    began = selector(c.RUN_START, fixed=HERE)
    last = f"last_over_time({began}[$__range] @ end())"
    shown = f"{began} @ end() or {last} == on () group_left () max({last})"
    return f"({here(metric, part, **labels)} and on (job, instance) ({began} == ({shown})))[$__range:{RESOLUTION}]"


def total(metric: c.Metric, part: str = "", by: str = "", **labels: str) -> str:
    """What the run has counted: its counters begin at 0, so the largest value is exact; `increase` extrapolates."""
    return _sum(f"max_over_time({of_the_run(metric, part, **labels)})", by)


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


def build(board: Board, places: Places) -> model.Dashboard:
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
        .variables(_variables(board, places))
        .annotation(_stages())
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


def _stages() -> dashboard.AnnotationQuery:
    """A mark where each stage of the plan began, which is its value."""
    began = f"1000 * max by (job, instance, stage) ({here(c.STAGE_START)})"
    return (
        dashboard.AnnotationQuery()
        .name("Stages")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("blue")
        .expr(began)
        .target(prometheus.Dataquery().expr(began).ref_id("Anno"))
        .title_format("{{stage}}")
        .tag_keys("instance")
        .use_value_for_time(True)
    )


def _variables(board: Board, places: Places) -> list[Builder[model.VariableModel]]:
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
    if board.leads_out:
        variables.append(dashboard.DatasourceVariable("traces").label("Traces").type("tempo"))
        variables.append(dashboard.TextBoxVariable("reports").label("Reports").default_value(places.reports))
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


def _panel(panel: Panel, number: int) -> timeseries.Panel | stat.Panel | bargauge.Panel | heatmap.Panel | table.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    built: timeseries.Panel | stat.Panel | bargauge.Panel | heatmap.Panel | table.Panel
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
        case Kind.TABLE:
            built = tables.panel(panel.columns, panel.rows_and_columns)
        case Kind.LINES | Kind.STACK:
            built = timeseries.Panel().fill_opacity(10).show_points(common_model.VisibilityMode.NEVER)
            built.legend(common.VizLegendOptions().show_legend(True).placement(common_model.LegendPlacement.BOTTOM))
            if panel.kind is Kind.STACK:
                built.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL)).fill_opacity(40)
            if panel.log:
                built.scale_distribution(
                    common.ScaleDistributionConfig().type(common_model.ScaleDistribution.LOG).log(10)
                )
            if panel.bound is not None:
                built.override_by_name(panel.bound, _AS_A_BOUND)
    steps = thresholds(red_from=panel.red_from, red_below=panel.red_below, green_from=panel.green_from)
    if steps:
        built.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    if panel.says:
        words = {str(value): model.ValueMappingResult(text=text) for value, text in panel.says.items()}
        built.mappings([model.ValueMap(options=words)])
    if panel.links:
        built.data_links(
            [dashboard.DashboardLink(title).url(url).target_blank(True) for title, url in panel.links.items()]
        )
    built.id(number).title(panel.title).description(panel.description).unit(panel.unit).datasource(DATASOURCE)
    built.span(panel.width).height(4 if panel.kind in (Kind.NUMBER, Kind.NAME) else 8)
    if not panel.log and panel.kind is not Kind.TABLE:  # 0 is not on a logarithmic axis
        built.min(0)
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        built.with_target(_target(query, letter, _FORMATS.get(panel.kind, PromQueryFormat.TIME_SERIES)))
    return built


def _target(query: Query, letter: str, shape: PromQueryFormat) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(letter).legend_format(query.legend).datasource(DATASOURCE)
    # Exemplars are on buckets: a click leads from a slow point to its trace.
    target = target.instant() if query.instant else target.range().exemplar("_bucket{" in query.expr)
    return target.format(shape)
