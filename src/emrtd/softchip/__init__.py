"""A travel-document chip without plastic: personalised, driven by APDUs, faulty on demand."""

from emrtd.softchip.chip import SoftChip
from emrtd.softchip.document import ChipDocument, ChipProfile
from emrtd.softchip.personalise import Description, personalise

__all__ = ["ChipDocument", "ChipProfile", "Description", "SoftChip", "personalise"]
