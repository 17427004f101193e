"""Turns indicators entries into explained signals: pure rules, dedup and emission in one step."""
