"""Accounts, their phones, and the security code the server counts. Nothing here names a person."""

from alicem.accounts.records import ApprovingPhone, keep_approval, take_approval
from alicem.accounts.registration import Earlier, NewAccount, chip_was_read, create, earlier

__all__ = [
    "ApprovingPhone",
    "Earlier",
    "NewAccount",
    "chip_was_read",
    "create",
    "earlier",
    "keep_approval",
    "take_approval",
]
