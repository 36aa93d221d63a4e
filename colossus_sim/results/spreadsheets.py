"""Texts in tables that no spreadsheet takes for a formula."""

from __future__ import annotations

_RISKY = ("=", "+", "-", "@", "\t", "\r", "'")


def neutralised(text: str) -> str:
    """Return `text` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_RISKY) else text


def recovered(text: str) -> str:
    """Return the text that `neutralised` was given."""
    return text[1:] if text.startswith("'") else text
