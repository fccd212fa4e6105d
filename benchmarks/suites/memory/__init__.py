"""Memory of each process over an hour of Pong from pixels: does any of them grow?"""
