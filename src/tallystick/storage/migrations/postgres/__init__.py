"""Revisions of the schema `tallystick`, which holds all ledgers of an installation."""
