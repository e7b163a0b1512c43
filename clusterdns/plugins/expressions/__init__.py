"""The expressions of `view` and `template`: as much of https://expr-lang.org as they need."""
