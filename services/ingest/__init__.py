"""Publishes every closed candle exactly once and in order: WebSocket for speed, REST for truth."""
