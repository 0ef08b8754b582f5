"""What the twin's servers have in common: listening, certificates, WebSockets, Realtime events, trace context."""
