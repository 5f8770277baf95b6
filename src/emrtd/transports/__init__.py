"""The way to a chip: the one place of this library that touches devices, sockets and the time that passes.

`pcsc` is a document on a reader of this machine. `vpcd` is the virtual reader of vsmartcard, both ends of it:
a software chip inside a real pcscd, or a card process read without one. `relay` carries batches to a chip far
away. `replay` records what passed and plays it again.
"""
