"""Five annotators with different error rates: are their errors estimated, and does the reward gain by it?"""
