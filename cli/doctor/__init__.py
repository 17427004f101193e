"""``doctor``: one screen that tells what is wrong with an installation, and what to do.

Each ``ask_…`` module looks at one area and hands what it saw to the module of that area in
``verdicts``, which is pure. A library that is missing must not keep the doctor from saying so:
areas are imported when it is their turn.
"""
