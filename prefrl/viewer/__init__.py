"""The pygame front end, and pictures of the agent acting, in a window or as a GIF.

Pictures are drawn with numpy and Pillow; only `prefrl.viewer.window` imports pygame.
"""
