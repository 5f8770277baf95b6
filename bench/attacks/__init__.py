"""The attack laboratory: presentation attacks made from specimen persons, each against the live check, counted by species.

Species are named as ISO/IEC 30107-3 names them: the instrument (print, display, mask, stream) and what is done with it.
"""
