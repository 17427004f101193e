"""The project's measures: ``python -m bench`` prints each beside its reference of the same run."""
