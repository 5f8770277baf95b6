"""How often the comparison errs, measured on pictures whose people are known. Nothing of it runs when somebody enrols."""
