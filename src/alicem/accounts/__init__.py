"""Accounts, their phones, and the security code the server counts. Nothing here names a person."""

from alicem.accounts.records import ApprovingPhone, take_approval
from alicem.accounts.registration import Earlier, NewAccount, chip_was_read, create, earlier

__all__ = ["ApprovingPhone", "Earlier", "NewAccount", "chip_was_read", "create", "earlier", "take_approval"]
