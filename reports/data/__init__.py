"""Journals → tables. pandas comes in here."""
