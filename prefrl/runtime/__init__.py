"""Launchers: the three workers in one process (`serial`), or each in its own (`processes`).

Import from the submodules: the parent of a process launch never loads torch.
"""
