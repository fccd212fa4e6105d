"""What people see: pictures of the agent at work, in a window or a GIF.

Pictures are composed with numpy and Pillow alone; only `prefrl.viewer.window` needs and imports pygame.
"""
