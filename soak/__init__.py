"""Proof of delivery: many signals through killed notifiers to failing peers, and an account."""
