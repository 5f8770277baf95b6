"""Accounts, their phones, and the security code the server counts. Nothing here names a person."""

from alicem.accounts.records import ApprovingPhone, take_approval
from alicem.accounts.registration import NewAccount, create

__all__ = ["ApprovingPhone", "NewAccount", "create", "take_approval"]
