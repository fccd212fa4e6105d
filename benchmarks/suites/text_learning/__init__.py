"""Texts from rankings of four responses, beside the same agent on the true reward."""
