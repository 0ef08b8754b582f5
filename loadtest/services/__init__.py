"""The two services over HTTP, and the integrator's own endpoint: calls, transport, cookies."""
