"""Read and check the chip of a travel document (ICAO Doc 9303), and make specimen chips.

The library touches no device, network, file, clock or global randomness outside ``emrtd.transports``:
time, randomness and keys are arguments. A protocol is a generator of command batches that a driver
(``exchange.run``, ``exchange.run_async``) carries to a chip, near or far.

Start with ``reading.read_document`` (chip to bytes), ``passive.passive_authentication`` (bytes to an
``AuthenticDocument``), ``active_authentication.verify`` (the chip is not a copy), and
``softchip.SoftChip`` (a chip without plastic).
"""
