# %% [markdown]
# # A first look at a run
#
# Cells are between the lines with `%%`: Jupyter (with jupytext), VS Code and PyCharm open this file as a notebook.

# %%
import pandas as pd

import loadtest

# %% Four users talk to the twin for eight seconds. A verdict is no exception: look at it.
report = loadtest.run_scenario(users=4, duration="8s", room="none", run_dir="first-look", metrics_port="off")
print(report.verdict.outcome, report.verdict.reasons)

# %% The run as tables; docs/reference/tables.md says what each column holds.
frames = loadtest.read_run("first-look")
print(frames.gaps)
frames.sessions.head()

# %% How long does each step take?
took = frames.steps[frames.steps["outcome"] == "ok"].groupby("step")["duration_s"]
by_step = pd.DataFrame({"p50_s": took.quantile(0.5), "p95_s": took.quantile(0.95)})
print(by_step)

# %% And over time? Times are UTC, so pandas can resample them.
creates = frames.steps[frames.steps["step"] == "create"].set_index("started_at")["duration_s"]
per_second = pd.DataFrame({"creates": creates.resample("1s").count(), "p95_s": creates.resample("1s").quantile(0.95)})
print(per_second)

# %% The slowest session, step by step.
slowest = frames.sessions.sort_values("duration_s").iloc[-1]
its_steps = frames.steps[frames.steps["session"] == slowest["session"]]
print(its_steps[["step", "started_at", "duration_s"]])
