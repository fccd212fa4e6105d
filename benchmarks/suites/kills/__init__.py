"""SIGKILL at random moments, to each worker and to all processes: does the run finish with every answer?"""
