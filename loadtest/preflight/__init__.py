"""What is looked at before a load starts: names, certificates, the services (a cheap call each, which creates nothing),
and what this machine has for the plan. `commands/work/checks.py` says when."""
