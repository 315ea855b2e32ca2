"""The judge of generated clips: who does what, where and how fast, read from the pixels.

A small classifier of our own, trained on rendered clips of every pair of actor and action, the
ones that no generator has seen included. Its training blurs, shifts and discolours the clips so
that it judges what is in a frame and not how cleanly the frame is drawn.
"""
