"""Read and check the chip of a travel document (ICAO Doc 9303), and make specimen chips.

What to call, in this order:

1. ``keys.MrzKey`` or ``keys.Can``: what is printed on the document, which opens its chip.
2. ``exchange.run`` drives ``reading.read_document`` over a function that takes a command to the chip and brings its
   answer (``transports.pcsc.Card`` is one). It gives a ``passive.RawDocument``: bytes of which nothing is proven.
3. ``passive.passive_authentication`` holds them against a ``pki.trust.TrustStore`` and gives a
   ``passive.AuthenticDocument``: a trusted State signed every value of it. Copied files pass as well, and so does a
   document past its expiry date, or one whose State has given no revocation list (``warnings`` says so).
4. ``authenticity.prove_chip`` tells by which protocols the chip showed that it is no copy.

Nobody here compares the portrait with the holder. What goes wrong is raised, never returned, and is a kind of
``errors.EmrtdError``: ``errors.AccessRefused`` (what was typed), ``errors.WireFailure`` (the way to the chip: no
verdict), ``errors.Malformed`` and ``errors.NotGenuine`` (the document), ``errors.Misuse`` (the program).

Further: ``folder.to_raw`` for files read by another program, ``pki.bundle.load`` for imported master lists,
``exchange.run_async`` and ``transports.relay.FarChip`` for a chip far away, ``softchip.SoftChip`` for a chip without
plastic. docs/chip.md shows all of it at work.

The library touches no device, network, file, clock or global randomness outside `emrtd.transports`: time,
randomness and keys are arguments. A protocol is a generator of command batches, and a driver carries them.
"""
