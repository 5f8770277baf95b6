"""Fuzzing of the chip library: every parser of what strangers hand in must answer with a named error, in bounded time.

`make fuzz` runs all targets, guided by coverage where atheris has a wheel for this Python, blindly elsewhere.
"""
