"""A program presses the keys of the labelling window: does it teach, how fast is it, what do clips cost?"""
