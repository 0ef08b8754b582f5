"""What a run directory may make a command contact. It is a file, perhaps somebody else's: whom it names is contacted,
and told a key, only where the person at the keyboard says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtest.config.access.guard import LIVE_AVATURN, flaws, know_backend, know_secrets
from loadtest.config.access.trust import check_trust
from loadtest.config.keys.backend import BackendTarget, Hidden
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.text.validation import is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What was said on the command line. `hosts`: that may be contacted, and told what `env:NAME` names; `backend`:
    `[target.backend]` of the scenario, whose values the run directory hides."""

    live: bool = False
    hosts: frozenset[str] = frozenset()
    proxy: str | None = None
    ca_file: Path | None = None
    backend: BackendTarget | None = None

    def settings_for_deletes(self, settings: Settings, environ: Mapping[str, str]) -> tuple[Settings, str]:
        """The settings by which the sessions of a run are deleted, and the URL that is asked to. Raises ConfigError."""
        target = settings.target
        backend = target.backend if target.backend is not None and target.backend.delete is not None else None
        url = target.avaturn_base_url or "" if backend is None or backend.delete is None else backend.delete.url
        problems = self._contacts(url, proxy=target.proxy, ca_file=target.ca_file)
        if backend is None:
            needed = ["AVATURN_API_KEY"]
        else:
            backend = self._filled(backend)
            problems += self._untold(backend, url)
            needed = backend.variables
        problems += [f"{name} is not set in the environment" for name in needed if not environ.get(name)]
        problems += flaws(backend.variables if backend is not None else (), environ)
        own: dict[str, Any] = {"proxy": self.proxy, "ca_file": self.ca_file}
        if is_loopback(url):  # the run directory's own are good enough there
            own = {"proxy": self.proxy or target.proxy, "ca_file": self.ca_file or target.ca_file}
        if own["ca_file"] is not None and url.startswith("https:"):
            try:
                check_trust(own["ca_file"], environ)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)
        allowed = target.model_copy(update={**own, "live": self.live, "backend": backend})
        settings = settings.model_copy(update={"target": allowed})
        know_secrets(settings, environ)
        if self.backend is not None:  # a target gives back what the run has sent, too
            know_backend(self.backend, environ)
        return settings, url

    def may_contact(self, url: str) -> bool:
        """A loopback address, the service itself, or a host that was named."""
        return is_loopback(url) or (self.live and (url == LIVE_AVATURN or urlsplit(url).hostname in self.hosts))

    def _contacts(self, url: str, *, proxy: str | None, ca_file: Path | None) -> list[str]:
        problems = []
        for each in (url, *((self.proxy,) if self.proxy else ())):
            if not self.may_contact(each):
                host = urlsplit(each).hostname
                also = "" if each == LIVE_AVATURN else f" --allow-host {host}"
                problems.append(f"{each}: not on this machine; it is contacted, with a key, only with --live{also}")
        if not is_loopback(url):
            if proxy is not None and self.proxy is None:
                problems.append(f"the run went through the proxy {proxy}; say --proxy URL for the way to take")
            if ca_file is not None and self.ca_file is None:
                problems.append(f"the run trusted {ca_file}; say --ca-file FILE for whom to trust")
        elif proxy is not None and self.proxy is None and not is_loopback(proxy):
            problems.append(f"the run went through the proxy {proxy}, which is not on this machine")
        return problems

    @property
    def _headers(self) -> Mapping[str, Hidden]:
        return {} if self.backend is None else self.backend.headers

    def _filled(self, backend: BackendTarget) -> BackendTarget:
        """With the header values of the scenario where the run directory has lengths."""
        known = {name: self._headers.get(name, value) for name, value in backend.headers.items()}
        return backend.model_copy(update={"headers": known, "body": Hidden(None)})

    def _untold(self, backend: BackendTarget, url: str) -> list[str]:
        """A header whose value is not known, or that a stranger may have chosen a variable for."""
        missing = [name.removeprefix("headers.") for name in backend.withheld]
        problems = [
            f"target.backend.headers.{name}: its value is in no run directory: --scenario FILE" for name in missing
        ]
        if urlsplit(url).hostname not in self.hosts:
            problems += [
                f"target.backend.headers.{name}: {value.reveal()}: a run directory's own choice of a variable is sent"
                f" only with --allow-host {urlsplit(url).hostname}, or with --scenario FILE that says the same"
                for name, value in backend.headers.items()
                if str(value.reveal()).startswith("env:") and name not in self._headers
            ]
        return problems
