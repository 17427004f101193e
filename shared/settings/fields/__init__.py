"""The forms of single values: what each may be, and what is said of one that is not."""
