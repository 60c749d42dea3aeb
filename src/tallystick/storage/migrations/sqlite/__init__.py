"""Revisions of one ledger's file."""
