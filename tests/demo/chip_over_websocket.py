"""A persona's software chip, read as a page relays it."""

from __future__ import annotations

import asyncio
import secrets

from websockets.asyncio.client import connect

from alicem.demo.personas import load
from emrtd.contact import first_contact
from emrtd.exchange import Protocol, T, run_batch
from emrtd.keys import MrzKey
from emrtd.reading import read_document


async def read_chip(address: str, name: str) -> object:
    """Everything on the chip at `address`, opened with what is printed on the document of `name`."""
    persona = load()[name]
    async with connect(address, proxy=None, compression=None, open_timeout=60) as socket_:
        loop = asyncio.get_running_loop()

        def transmit(apdu: bytes) -> bytes:
            async def one() -> bytes:
                await socket_.send(apdu)
                answer = await socket_.recv()
                assert isinstance(answer, bytes)
                return answer

            return asyncio.run_coroutine_threadsafe(one(), loop).result(10)

        def whole(protocol: Protocol[T]) -> T:
            batch = next(protocol)
            try:
                while True:
                    batch = protocol.send(run_batch(batch, transmit))
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

        zone = persona.description(b"").mrz
        access = MrzKey(zone.number, zone.birth_date, zone.expiry_date)
        found = await asyncio.to_thread(whole, first_contact())
        return await asyncio.to_thread(whole, read_document(access, contact=found, rng=secrets.token_bytes))
