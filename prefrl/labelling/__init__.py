"""What a front end for labelling needs, without a window: sessions, rendering, page flow, status, instructions.

`prefrl.labelling.connect` puts the parts together for one person and one run.
"""
