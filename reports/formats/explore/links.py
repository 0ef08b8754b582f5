"""Links out of a page, by the templates of `[output]`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from exporters.sampling import in_share

_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Templates as `loadtest.config.keys.output` allows them; None: nobody gave one. `trace_share`: of the sessions
    that went well, how many have a trace. `offset_ns`: from the run's time base to unix time."""

    trace: str | None
    trace_share: float
    grafana: str | None
    run_id: str
    offset_ns: int

    def of_session(self, trace_id: str, begin_ns: int, end_ns: int, *, kept: bool) -> str | None:
        """To its trace, where it is sure to have one. `kept`: whatever the share."""
        if not kept and self.trace_share < 1 and not (_ID.fullmatch(trace_id) and in_share(trace_id, self.trace_share)):
            return None
        return self._filled(self.trace, begin_ns, end_ns, {"trace_id": trace_id})

    def of_run(self, begin_ns: int, end_ns: int) -> str | None:
        """To the board."""
        return self._filled(self.grafana, begin_ns, end_ns, {})

    def _filled(self, template: str | None, begin_ns: int, end_ns: int, more: Mapping[str, str]) -> str | None:
        if template is None:
            return None
        values = {
            "run_id": self.run_id,
            "from": str((begin_ns + self.offset_ns) // 10**6),
            "to": str(-(-(end_ns + self.offset_ns) // 10**6)),
            **more,
        }
        return re.sub(r"\{(\w+)\}", lambda hole: quote(values[hole[1]], safe=""), template)
