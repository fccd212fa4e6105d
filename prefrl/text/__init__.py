"""Texts: language models and files of rankings."""
